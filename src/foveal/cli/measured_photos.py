"""What `foveal measure` and `foveal compare` share: photo after photo, kept as it is measured, row after row.

In float32 the first method of a photo is measured before the maps of the others are made, so that the first row comes
soon whatever the others cost; copies that may be rounded are scored together. A photo that is done is kept in the
folder: an interrupted command goes on from there.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.cli.console import info
from foveal.cli.unfinished import UnfinishedRun, fingerprints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from foveal.cli.console import Move
    from foveal.cli.output_folder import OutputFolder
    from foveal.engine.precision import Precision
    from foveal.images import Batch
    from foveal.models import Model
    from foveal.results import Scores
    from foveal.targets import TargetLike


class MeasuredPhotos:
    """The photos of one command.

    Attributes:
        parts: the scores of each photo that is done, by its number.
        extras: what else was kept of each, as plain data.
    """

    def __init__(self, files: Sequence[Path], network: Model, work: OutputFolder) -> None:
        self.parts: dict[int, Scores] = {}
        self.extras: dict[int, Any] = {}
        self._files, self._work = files, work
        self._marks = fingerprints(files, network, work.settings)
        self._earlier = UnfinishedRun(work.path)
        for i, mark in enumerate(self._marks):
            if kept := self._earlier.rows(mark):
                self.parts[i], self.extras[i] = _scores(kept[0]["scores"]), kept[0]["extra"]
        if self.parts:
            info(f"note: {len(self.parts)} of {len(files)} photos were measured before the interruption")
        work.done(len(self.parts), len(files))

    def add(self, i: int, scores: Scores, extra: Any = None) -> None:
        """Photo i is done: its numbers are kept, and scores.csv is written with all that are done."""
        self.parts[i], self.extras[i] = scores, extra
        self._earlier.add(self._marks[i], [{"files": [], "scores": asdict(scores), "extra": extra}])
        self._work.done(len(self.parts), len(self._files))
        self.scores().save(self._work.path)

    def scores(self) -> Scores:
        """Of all photos that are done, in the order in which they were given."""
        from foveal.results import Scores

        return Scores.joined([self.parts[i] for i in sorted(self.parts)])

    def end(self) -> None:
        """All photos are done: the next run starts afresh."""
        self._earlier.end()


def measured_photo(
    network: Model,
    batch: Batch,
    target: TargetLike,
    methods: Sequence[str],
    explain: Callable[[Sequence[str]], Mapping[str, Any]],
    *,
    metrics: str | Sequence[str],
    steps: int,
    precision: Precision,
    baseline_maps: bool = True,
    layer: object = None,
    move: Callable[[int, int], None],
    on_maps: Callable[[Mapping[str, Any]], None] | None = None,
    first: bool = False,
) -> tuple[dict[str, Any], Scores]:
    """The explanations of one photo by method, and their scores; each row is told as soon as it is measured.

    Args:
        explain: makes explanations of this photo by several methods.
        layer: asked for; then baseline maps need the maps of all methods, and all are made first.
        move: hears (done, total) after each map.
        on_maps: hears the explanations there are, before they are measured.
        first: whether the metrics that are soon there are told before the others are asked.
    """
    from foveal.api.measure import default_setting, measure
    from foveal.targets import Labels

    tell = partial(tell_row, each_label=isinstance(target, Labels))
    alone = layer is None and precision == "float32"  # with rounding, methods that are alike would differ
    steps_of_work = _in_turn(methods) if alone else [list(methods)]
    explanations: dict[str, Any] = {}
    table: Scores | None = None
    for number, names in enumerate(steps_of_work):
        made = {name: why for name, why in explain(names).items() if name not in explanations}
        last = number == len(steps_of_work) - 1
        before, to_come = len(explanations), 0 if last else len(methods) - 1 + 5 * baseline_maps
        explanations |= made
        if on_maps:
            on_maps(explanations)
        part = measure(
            network,
            batch,
            target,
            explanations=made or explanations,
            metrics=metrics,
            baseline_maps=baseline_maps and last,
            setting=default_setting(batch.tensor, steps=steps),
            precision=precision,
            progress=_shifted(move, before, to_come),
            on_row=tell if made else None,
            on_first=partial(tell, so_far=True) if made and first else None,
        )
        table = part if table is None else table.beside(part)
    assert table is not None
    return explanations, table


def counted(move: Move, photo: int, photos: int) -> Callable[[int, int], None]:
    """Moves one bar for all maps of all photos, while photo number `photo` tells of its own."""
    return lambda done, total: move("measuring maps", photo * total + done, photos * total)


def save_tables(scores: Scores, folder: Path) -> list[Path]:
    """The tables in the folder: scores.csv, and those to paste with the tests of all pairs."""
    from foveal.storage.atomic import write_text

    scores.save(folder)
    pasted = {"md": scores.to_markdown, "tex": scores.to_latex, "html": scores.to_html}
    for end, written in pasted.items():
        write_text(folder / f"scores.{end}", written(pairs=True) + "\n")
    return [folder / f"scores.{end}" for end in ("csv", *pasted)]


def tell_row(row: Mapping[str, Any], *, each_label: bool = False, so_far: bool = False) -> None:
    """A row for people, as soon as it is measured; those of baseline maps wait for the table.

    Args:
        each_label: whether a photo has a row a label, so that the label is told, too.
        so_far: whether metrics are missing, and these are not compared with float32 yet.
    """
    if not row["method"].startswith("("):
        numbers = [f"{name} {number_text(value)}" for name, value in list(row.items())[4:]]
        of = f", {row['target']}" if each_label else ""
        info(f"{Path(row['picture']).name}{of}, {row['method']}{', so far' * so_far}: {', '.join(numbers)}")


def number_text(value: float | None) -> str:
    """Three significant digits with a real minus."""
    return "undefined" if value is None else f"{value:.3g}".replace("-", "−")


def _in_turn(methods: Sequence[str]) -> list[list[str]]:
    """The first method alone, then the others; a word such as usual stands for methods that share one pass."""
    from foveal.methods import WORDS, find_methods

    plain = [name for name in methods if name != "naflow"]
    if plain:
        find_methods(plain)  # a name that is unknown is told before the work
    first, *others = dict.fromkeys(methods)
    return [[first], others] if others and first not in WORDS else [[first, *others]]


def _shifted(move: Callable[[int, int], None], before: int, to_come: int) -> Callable[[str, int, int], None]:
    """Counts the maps of one step of the work among those of all steps."""
    return lambda phase, done, total: move(before + done, before + total + to_come)


def _scores(kept: Mapping[str, Any]) -> Scores:
    """Scores from what JSON made of them."""
    from foveal.results import Scores

    values = {name: {m: tuple(v) for m, v in by_metric.items()} for name, by_metric in kept["values"].items()}
    tuples = {name: tuple(kept[name]) for name in ("pictures", "target", "whole", "baseline_maps", "notes")}
    return Scores(**{**kept, **tuples, "values": values})

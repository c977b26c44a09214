"""`foveal compare`"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, print_text, progress
from foveal.cli.drawing_options import DrawingOptions
from foveal.cli.figure import Figure
from foveal.cli.lists import repeatable
from foveal.cli.measured_photos import MeasuredPhotos, counted, measured_photo, save_tables
from foveal.cli.output_folder import EVERY, OutputFolder
from foveal.cli.pictures import pictures
from foveal.cli.unfinished import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from foveal.render.drawing import Drawing
    from foveal.results import Explanation, Scores

METRICS = ["deletion", "insertion", "drop", "drop_in_deletion", "road"]


@command
def compare(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: Annotated[
        list[str] | None,
        repeatable(
            "method",
            metavar="METHOD",
            help="A method (default: usual: gradcam, hirescam, layercam, lrp-gamma).",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        repeatable("metric", metavar="METRIC", help=f"A metric (default: {', '.join(METRICS)})."),
    ] = None,
    layer: options.Layer = None,
    steps: options.Steps = 28,
    precision: options.Precision = "auto",
    *,
    drawing: DrawingOptions,
    output: options.OutputOptions,
    latex: options.Latex = False,
    work: OutputFolder,
) -> None:
    """Methods side by side on a page: one column per method, one row per image, with faithfulness metrics.

    \b
      foveal compare photos/ -m timm:resnet50
      foveal compare photos/ -m timm:resnet50 --method gradcam --method naflow
      foveal compare query.jpg -m timm:resnet50 --like shelf.jpg --method fam

    --target as in `foveal explain`. naflow is the flow of `foveal flow` at the last stage. Each row is printed as soon
    as it is measured; of the first photo, before that, what two masked copies a map tell ("so far"). The folder gets
    compare.html, a page of the studio with tables that sort by any metric: first with the maps of the first photo, then
    with the numbers of all photos that are done. Beside it lie scores.csv, the table to paste as scores.md, scores.tex
    and scores.html, and manifest.json. --figure puts the maps into one figure for a paper. Prints the paths of page,
    figure and tables; --json adds intervals and the tests of all pairs of methods. After an interruption the same
    command goes on with the photos that are left.
    """
    options.one_format(json=output.json, latex=latex)
    drawing.check()
    work.goes_on(KEPT)
    network = source.load()
    from foveal.images import pictures_in
    from foveal.metrics.metric import find_metrics

    target = question.resolve(network)
    metrics = metric or METRICS
    find_metrics(metrics)
    names = method or ["usual"]
    files = pictures_in(photos)
    done = MeasuredPhotos(files, network, work)
    whys: dict[int, dict[str, Explanation]] = {}
    page = PageSoFar(output.out / "compare.html", drawing.drawing())
    with pictures(network, json=output.json) as read, progress("comparing photos") as move:
        for i, batch in read.one_by_one(files):
            if i in done.parts:
                whys[i] = _explained(network, batch, target, names, options.layer_spec(layer))
                continue
            whys[i], table = measured_photo(
                network,
                batch,
                target,
                names,
                lambda some: _explained(network, batch, target, some, options.layer_spec(layer)),  # noqa: B023
                metrics=metrics,
                steps=steps,
                precision=precision,
                layer=layer,
                move=counted(move, i, len(files)),
                on_maps=None if done.parts else page.show_maps,
                first=not done.parts,
            )
            done.add(i, table)
            page.show(whys, done)
        read.need([*done.parts])
        columns, scores = page.show(whys, done, now=True)
        tables = save_tables(scores, output.out)
        figure = Figure(drawing)
        figure.add([*columns.values()])
        saved = figure.save()
        info(str(scores))
        if output.json:
            facts = {"scores": list(scores.rows()), "page": str(page.path), "figure": saved and str(saved)}
            print_json({**scores.to_dict(), **facts, "unread": read.failures()})
        elif latex:
            print_text(scores.to_latex(pairs=True))
        else:
            print_lines(page.path, *([saved] if saved else []), *tables)
    done.end()


class PageSoFar:
    """compare.html, written anew while photos are measured, so that it can be looked at meanwhile."""

    def __init__(self, path: Path, drawing: Drawing) -> None:
        self.path, self._drawing = path, drawing
        self._written = -EVERY

    def show_maps(self, whys: Mapping[str, Explanation]) -> None:
        """Maps of the first photo, while there are no numbers yet."""
        self._write({name: replace(_joined([why]), drawing=self._drawing) for name, why in whys.items()}, None)

    def show(
        self, whys: Mapping[int, Mapping[str, Explanation]], done: MeasuredPhotos, *, now: bool = False
    ) -> tuple[dict[str, Explanation], Scores]:
        """The photos that are done, by method; written if the page is older than `EVERY`, or `now`."""
        from foveal.results import Scores

        shown = sorted(whys.keys() & done.parts.keys())
        columns = {
            name: replace(_joined([whys[i][name] for i in shown]), drawing=self._drawing) for name in whys[shown[0]]
        }
        scores = Scores.joined([done.parts[i] for i in shown])
        if now or time.monotonic() - self._written > EVERY:
            self._write(columns, scores)
            self._written = time.monotonic()
        return columns, scores

    def _write(self, columns: Mapping[str, Explanation], scores: Scores | None) -> None:
        from foveal.report.comparison_page import comparison_page
        from foveal.storage.atomic import write_text

        write_text(self.path, comparison_page(columns, scores))


def _explained(network: Any, batch: Any, target: Any, names: Sequence[str], layer: Any) -> dict[str, Explanation]:
    """By name, in the order asked for; all on one forward but the flow."""
    from foveal.api.explain import compare as compared
    from foveal.api.flow import flow

    plain = [name for name in names if name != "naflow"]
    made = {why.method: why for why in compared(network, batch, target, methods=plain, layer=layer)} if plain else {}
    if "naflow" in names:
        made["naflow"] = flow(network, batch, target, layer="all" if layer is None else layer)
    order = [name for name in made if name != "naflow"]
    if "naflow" in made:
        order.insert(min(list(names).index("naflow"), len(order)), "naflow")
    return {name: made[name] for name in order}


def _joined(parts: Sequence[Explanation]) -> Explanation:
    """One explanation of those of several batches, as far as a page needs it: the deepest layer."""
    import torch

    from foveal.results import Explanation
    from foveal.targets.target import PER_IMAGE

    first = parts[0]
    kind = str(first.target_spec.get("kind"))
    scored = all(part.score is not None for part in parts)
    chances = [part.probability for part in parts if part.probability is not None]
    return Explanation(
        maps={first.layer: torch.cat([part.map for part in parts])},
        photos=tuple(photo for part in parts for photo in part.photos),
        score=torch.cat([part.score for part in parts if part.score is not None]) if scored else None,
        probability=torch.cat(chances) if len(chances) == len(parts) else None,
        target=tuple(label for part in parts for label in part.target),
        target_spec={key: value for key, value in first.target_spec.items() if key not in PER_IMAGE.get(kind, ())},
        method=first.method,
        parameters=first.parameters,
        model=first.model,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )

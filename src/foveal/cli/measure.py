"""`foveal measure`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.pictures import AT_ONCE, pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.cli.console import Move


@command
def measure(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: options.Methods = None,
    metric: options.Metrics = None,
    layer: options.Layer = None,
    steps: options.Steps = 49,
    baseline_maps: Annotated[
        bool,
        typer.Option(
            "--baseline-maps/--no-baseline-maps",
            help="Baseline maps to compare with: noise, center, edges …",
        ),
    ] = True,
    audit: options.Audit = False,
    *,
    output: options.OutputOptions,
    latex: options.Latex = False,
) -> None:
    """Measure faithfulness: how the score changes when the areas that a map highlights are hidden or shown.

    \b
      foveal measure bird.jpg -m demo
      foveal measure photos/*.jpg -m timm:resnet50 --method gradcam --audit
      foveal measure bird.jpg -m timm:resnet50 --metric deletion --metric road
      foveal measure photos/ -m timm:resnet50 --method gradcam --latex > table.tex
      foveal measure query.jpg -m timm:resnet50 --like shelf.jpg --method fam

    --target as in `foveal explain`. --metric is one of deletion, insertion, drop, increase, gain, drop_in_deletion,
    road, infidelity, faithfulness, sensitivity … (`foveal help measure`), or its abbreviation in papers. An arrow shows
    which direction is better, * the best method, † a baseline map (in parentheses) that beats every method.

    Each row is printed as soon as it is measured. The folder gets scores.csv, one row per photo and method, and
    manifest.json. Prints the path of the table; --json adds intervals and the tests of all pairs of methods.
    """
    options.one_format(json=output.json, latex=latex)
    network = source.load()
    from foveal.api.audit import audit as audited
    from foveal.api.map_sources import explained
    from foveal.api.measure import default_setting
    from foveal.api.measure import measure as measured
    from foveal.images import pictures_in
    from foveal.metrics.metric import find_metrics
    from foveal.results import Scores

    target = question.resolve(network)
    find_metrics(metric or "usual")
    files, parts, tests = pictures_in(photos), [], []
    with pictures(network.preprocessing, json=output.json) as read, progress("measuring photos") as move:
        for done, batch in read.batches(files, AT_ONCE):
            tick = counted(move, done, len(files), len(batch.photos))
            explanations = explained(network, batch, target, method or ["gradcam"], options.layer_spec(layer))
            parts.append(
                measured(
                    network,
                    batch,
                    target,
                    explanations=explanations,
                    metrics=metric or "usual",
                    baseline_maps=baseline_maps,
                    setting=default_setting(batch.tensor, steps=steps),
                    progress=tick,
                    on_row=tell_row,
                )
            )
            if audit:
                tests += list(audited(network, batch, target, explanations=explanations, progress=tick))
        read.need(parts)
        scores = Scores.joined(parts)
        scores.save(output.out)
        info(str(scores), *(f"{test.source}, {test.method}: {test.summary}" for test in tests))
        if output.json:
            facts = {"audit": [test.to_dict() for test in tests], "table": str(output.out / "scores.csv")}
            print_json({**scores.to_dict(), "scores": list(scores.rows()), **facts, "unread": read.failures()})
        elif latex:
            print_lines(scores.to_latex(pairs=True))
        else:
            print_lines(output.out / "scores.csv")


def counted(move: Move, last: int, files: int, batch: int) -> Move:
    """Moves one bar for all maps of all photos, while a batch that ends with photo `last` tells of its own maps."""

    def tick(phase: str, done: int, total: int, detail: str = "") -> None:
        each = total // batch
        move(phase, (last - batch) * each + done, files * each, detail)

    return tick


def tell_row(row: Mapping[str, Any]) -> None:
    """A row for people, as soon as it is measured; those of baseline maps wait for the table."""
    if not row["method"].startswith("("):
        numbers = [f"{name} {number_text(value)}" for name, value in list(row.items())[4:]]
        info(f"{Path(row['picture']).name}, {row['method']}: {', '.join(numbers)}")


def number_text(value: float | None) -> str:
    """Three significant digits with a real minus."""
    return "undefined" if value is None else f"{value:.3g}".replace("-", "−")

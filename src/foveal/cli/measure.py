"""`foveal measure`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.pictures import AT_ONCE, pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.results import Scores


@command
def measure(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: options.Methods = None,
    metric: options.Metrics = None,
    layer: options.Layer = None,
    steps: options.Steps = 49,
    references: Annotated[
        bool,
        typer.Option("--references/--no-references", help="Beside maps that know nothing: noise, center, edges …"),
    ] = True,
    audit: options.Audit = False,
    *,
    output: options.OutputOptions,
) -> None:
    """Is the explanation true? What the score does when that which a map marks is hidden or shown.

    \b
      foveal measure bird.jpg -m demo
      foveal measure photos/*.jpg -m timm:resnet50 --method gradcam --audit
      foveal measure bird.jpg -m timm:resnet50 --metric deletion --metric road
      foveal measure query.jpg -m timm:resnet50 --like shelf.jpg --method fam

    --target as in `foveal explain`. --metric is one of deletion, insertion, drop, increase, gain, drop_in_deletion,
    road, infidelity, faithfulness, sensitivity … (`foveal help measure`), by name or as papers abbreviate it. Arrows
    say which direction is better; * marks the best. A method that does not beat the references in brackets has shown
    nothing.

    The folder gets scores.csv, a row a photo and method, and manifest.json. Prints the path of the table.
    """
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
            explanations = explained(network, batch, target, method or ["gradcam"], options.layer_spec(layer))
            parts.append(
                measured(
                    network,
                    batch,
                    target,
                    explanations=explanations,
                    metrics=metric or "usual",
                    references=references,
                    setting=default_setting(batch.tensor, steps=steps),
                    progress=move,
                )
            )
            if audit:
                tests += list(audited(network, batch, target, explanations=explanations, progress=move))
            move("measuring photos", done, len(files))
        read.need(parts)
        scores = Scores.joined(parts)
        scores.save(output.out)
        info(str(scores), *(f"{test.source}, {test.method}: {test.summary}" for test in tests))
        if output.json:
            facts = {"audit": [test.to_dict() for test in tests], "table": str(output.out / "scores.csv")}
            print_json({**_document(scores), **facts, "unread": read.failures()})
        else:
            print_lines(output.out / "scores.csv")


def _document(scores: Scores) -> Mapping[str, Any]:
    """The same for machines; None where undefined."""
    return {
        **scores.to_dict(),
        "scores": list(scores.rows()),
        "means": {
            name: {
                metric: {"mean": _defined(summary.mean), "low": _defined(summary.low), "high": _defined(summary.high),
                         "n": summary.n, "undefined": summary.undefined}
                for metric in scores.metrics
                for summary in (scores.summary(name, metric),)
            }
            for name in scores.methods
        },
    }  # fmt: skip


def _defined(value: float) -> float | None:
    return value if value == value else None

"""`foveal measure`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.pictures import pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.results import Scores

AT_ONCE = 8  # photos

Methods = Annotated[
    list[str] | None,
    typer.Option("--method", metavar="METHOD", help="gradcam if left out; repeat it; see `foveal methods`."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="METRIC", help="usual if left out; all, or a name; repeat it."),
]
Steps = Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Of deletion and insertion.")]
Like = Annotated[
    Path | None,
    typer.Option("--like", metavar="PHOTO", help="Measure the similarity to this picture instead of a class."),
]


@reported
def measure(
    photos: options.Photos,
    model: options.ModelOption,
    target: options.TargetOption = None,
    like: Like = None,
    method: Methods = None,
    metric: Metrics = None,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", metavar="LAYER", help="Where maps are made; the last stage.")
    ] = None,
    steps: Steps = 49,
    references: Annotated[
        bool, typer.Option("--references/--no-references", help="Beside maps that know nothing: noise, centre, edges …")
    ] = True,
    audit: Annotated[
        bool, typer.Option("--audit", help="Say in a sentence what hiding the marked places costs, and others.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the numbers go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Is the explanation true? What the score does when that which a map marks is hidden or shown.

    \b
      foveal measure bird.jpg --model demo
      foveal measure photos/*.jpg -m timm:resnet50 --method gradcam --method hirescam --audit
      foveal measure bird.jpg -m timm:resnet50 --target "jay - crow" --metric deletion --metric road --steps 196
      foveal measure query.jpg -m timm:resnet50 --like shelf.jpg --method fam

    --target as in `foveal explain`. --metric is one of deletion, insertion, drop, increase, gain, drop_in_deletion,
    road, infidelity, faithfulness, sensitivity … (docs/measure.md), by name or as papers abbreviate it. Arrows say
    which direction is better; * marks the best. A method that does not beat the references in brackets has shown
    nothing.

    The folder gets scores.csv, a row a photo and method, and manifest.json. Prints the path of the table.
    """
    network = options.loaded(
        model,
        weights=weights,
        pretrained=pretrained,
        labels=labels,
        preprocessing=preprocessing,
        task=task,
        device=device,
    )
    from foveal.api.audit import audit as audited
    from foveal.api.measure import default_setting, explained
    from foveal.api.measure import measure as measured
    from foveal.cli.target import parse_target
    from foveal.images import pictures_in
    from foveal.metrics.metric import find_metrics
    from foveal.results import Scores
    from foveal.targets import Similar

    if like and target:
        raise typer.BadParameter("the decision is a class by --target or a similarity by --like: give one of them")
    decision: Any = Similar(like) if like else parse_target(target, network.labels)
    find_metrics(metric or "usual")
    files, parts, sentences = pictures_in(photos), [], []
    with pictures(network.preprocessing, json=json) as read, progress("measuring") as move:
        for done, batch in read.several(files, AT_ONCE):
            tick = _ticker(move, done)
            whys = explained(
                network, batch, decision, method or ["gradcam"], options.layer_spec([layer] if layer else None)
            )
            setting = default_setting(batch.tensor, steps=steps)
            parts.append(
                measured(
                    network,
                    batch,
                    whys,
                    decision,
                    metrics=metric or "usual",
                    references=references,
                    setting=setting,
                    progress=tick,
                )
            )
            if audit:
                sentences += list(audited(network, batch, whys, decision, progress=tick))
            move("photos", done, len(files), "")
        read.need(parts)
        scores = Scores.joined(parts)
        scores.save(out)
        info(str(scores), *(f"{one.source}, {one.method}: {one.summary}" for one in sentences))
        if json:
            facts = {"audit": [one.to_dict() for one in sentences], "table": str(out / "scores.csv")}
            answer_json({**_answer(scores), **facts, "unread": read.facts()})
        else:
            answer_lines(out / "scores.csv")


def _ticker(move: Any, last: int) -> Any:
    return lambda what, done, total: move(f"{what}, up to photo {last}", done, total, "")


def _answer(scores: Scores) -> Mapping[str, Any]:
    """The same for machines; None where undefined."""
    return {
        **scores.to_dict(),
        "scores": list(scores.rows()),
        "means": {
            name: {
                metric: {"mean": _known(found.mean), "low": _known(found.low), "high": _known(found.high),
                         "n": found.n, "undefined": found.undefined}
                for metric in scores.metrics
                for found in (scores.summary(name, metric),)
            }
            for name in scores.methods
        },
    }  # fmt: skip


def _known(value: float) -> float | None:
    return value if value == value else None

"""`foveal compare`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.measure import AT_ONCE, Like, Metrics, Steps
from foveal.cli.pictures import pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results import Explanation


@reported
def compare(
    photos: options.Photos,
    model: options.ModelOption,
    target: options.TargetOption = None,
    like: Like = None,
    methods: Annotated[
        str, typer.Option("--methods", metavar="LIST", help="With commas between; see `foveal methods`.")
    ] = "gradcam,hirescam,layercam,lrp-gamma",
    metric: Metrics = None,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", metavar="LAYER", help="Where maps are made; the last stage.")
    ] = None,
    steps: Steps = 28,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the page goes.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Methods side by side on a page: a column each, a picture a row, and how true each map is.

    \b
      foveal compare photos/ --model timm:resnet50
      foveal compare photos/ -m timm:resnet50 --methods gradcam,naflow,lrp-gamma --metric deletion --metric road
      foveal compare query.jpg -m timm:resnet50 --like shelf.jpg --methods fam,gradcam

    --target as in `foveal explain`. naflow is the flow of `foveal flow` at the last stage. The folder gets
    compare.html, whole in itself, which can be put in order by any metric, scores.csv and manifest.json. Prints the
    page's path.
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
    from foveal.api.measure import default_setting
    from foveal.api.measure import measure as measured
    from foveal.cli.target import parse_target
    from foveal.images import pictures_in
    from foveal.metrics.metric import find_metrics
    from foveal.report.comparison import write_comparison
    from foveal.results import Scores
    from foveal.targets import Similar

    if like and target:
        raise typer.BadParameter("the decision is a class by --target or a similarity by --like: give one of them")
    decision: Any = Similar(like) if like else parse_target(target, network.labels)
    names = [name.strip() for name in methods.split(",") if name.strip()]
    chosen = metric or ["deletion", "insertion", "drop", "drop_in_deletion", "road"]
    find_metrics(chosen)
    files, parts = pictures_in(photos), []
    whys: dict[str, list[Explanation]] = {}
    with pictures(network.preprocessing, json=json) as read, progress("comparing") as move:
        for done, batch in read.several(files, AT_ONCE):
            found = _explained(network, batch, decision, names, options.layer_spec([layer] if layer else None))
            parts.append(
                measured(
                    network,
                    batch,
                    found,
                    decision,
                    metrics=chosen,
                    setting=default_setting(batch.tensor, steps=steps),
                    progress=lambda what, done, total: move(what, done, total, ""),
                )
            )
            for name, why in found.items():
                whys.setdefault(name, []).append(why)
            move("photos", done, len(files), "")
        read.need(parts)
        scores = Scores.joined(parts)
        scores.save(out)
        page = write_comparison({name: _joined(each) for name, each in whys.items()}, scores, out / "compare.html")
        info(str(scores))
        if json:
            facts = {"scores": list(scores.rows()), "page": str(page)}
            answer_json({**scores.to_dict(), **facts, "unread": read.facts()})
        else:
            answer_lines(page)


def _explained(network: Any, batch: Any, decision: Any, names: Sequence[str], layer: Any) -> dict[str, Explanation]:
    """By name, in the order asked for; all on one forward but the flow."""
    from foveal.api.explain import compare as compared
    from foveal.api.flow import flow

    plain = [name for name in names if name != "naflow"]
    made = {why.method: why for why in compared(network, batch, decision, methods=plain, layer=layer)} if plain else {}
    if "naflow" in names:
        made["naflow"] = flow(network, batch, decision, layer="all" if layer is None else layer)
    order = [name for name in made if name != "naflow"]
    if "naflow" in made:
        order.insert(min(list(names).index("naflow"), len(order)), "naflow")
    return {name: made[name] for name in order}


def _joined(parts: Sequence[Explanation]) -> Explanation:
    """One explanation of those of several batches, as far as a page needs it: the deepest layer."""
    import torch

    from foveal.results import Explanation

    first = parts[0]
    known = all(part.score is not None for part in parts)
    return Explanation(
        maps={first.layer: torch.cat([part.map for part in parts])},
        photos=tuple(photo for part in parts for photo in part.photos),
        score=torch.cat([part.score for part in parts if part.score is not None]) if known else None,
        probability=None,
        target=tuple(one for part in parts for one in part.target),
        target_spec={"kind": "several"},
        method=first.method,
        parameters=first.parameters,
        model=first.model,
    )

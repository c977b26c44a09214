"""`foveal compare`"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.figure import Figure
from foveal.cli.lists import repeatable
from foveal.cli.measure import counted, tell_row
from foveal.cli.pictures import AT_ONCE, pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results import Explanation

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
    *,
    drawing: options.DrawingOptions,
    output: options.OutputOptions,
    latex: options.Latex = False,
) -> None:
    """Methods side by side on a page: a column each, an image a row, with faithfulness metrics.

    \b
      foveal compare photos/ -m timm:resnet50
      foveal compare photos/ -m timm:resnet50 --method gradcam --method naflow
      foveal compare query.jpg -m timm:resnet50 --like shelf.jpg --method fam

    --target as in `foveal explain`. naflow is the flow of `foveal flow` at the last stage. Each row is printed as soon
    as it is measured. The folder gets compare.html, a single file whose images can be sorted by any metric, scores.csv
    and manifest.json. --figure puts the maps into one figure for a paper. Prints the paths of page and figure; --json
    adds intervals and the tests of all pairs of methods.
    """
    options.one_format(json=output.json, latex=latex)
    drawing.check()
    network = source.load()
    from foveal.api.measure import default_setting
    from foveal.api.measure import measure as measured
    from foveal.images import pictures_in
    from foveal.metrics.metric import find_metrics
    from foveal.results import Scores
    from foveal.results.comparison_page import comparison_page
    from foveal.storage.atomic import write_text

    target = question.resolve(network)
    metrics = metric or METRICS
    find_metrics(metrics)
    files, parts = pictures_in(photos), []
    columns: dict[str, list[Explanation]] = {}
    with pictures(network.preprocessing, json=output.json) as read, progress("comparing photos") as move:
        for done, batch in read.batches(files, AT_ONCE):
            explanations = _explained(network, batch, target, method or ["usual"], options.layer_spec(layer))
            parts.append(
                measured(
                    network,
                    batch,
                    target,
                    explanations=explanations,
                    metrics=metrics,
                    setting=default_setting(batch.tensor, steps=steps),
                    progress=counted(move, done, len(files), len(batch.photos)),
                    on_row=tell_row,
                )
            )
            for name, why in explanations.items():
                columns.setdefault(name, []).append(why)
        read.need(parts)
        scores = Scores.joined(parts)
        scores.save(output.out)
        whys = {name: replace(_joined(each), drawing=drawing.drawing()) for name, each in columns.items()}
        page = output.out / "compare.html"
        write_text(page, comparison_page(whys, scores))
        figure = Figure(drawing)
        figure.add([*whys.values()])
        saved = figure.save()
        info(str(scores))
        if output.json:
            facts = {"scores": list(scores.rows()), "page": str(page), "figure": saved and str(saved)}
            print_json({**scores.to_dict(), **facts, "unread": read.failures()})
        elif latex:
            print_lines(scores.to_latex(pairs=True))
        else:
            print_lines(page, *([saved] if saved else []))


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

    first = parts[0]
    scored = all(part.score is not None for part in parts)
    chances = [part.probability for part in parts if part.probability is not None]
    return Explanation(
        maps={first.layer: torch.cat([part.map for part in parts])},
        photos=tuple(photo for part in parts for photo in part.photos),
        score=torch.cat([part.score for part in parts if part.score is not None]) if scored else None,
        probability=torch.cat(chances) if len(chances) == len(parts) else None,
        target=tuple(label for part in parts for label in part.target),
        target_spec={"kind": "several"},
        method=first.method,
        parameters=first.parameters,
        model=first.model,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )

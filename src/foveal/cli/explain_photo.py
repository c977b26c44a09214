"""One photo explained for the command line: computed, saved, and put in words and in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from foveal.api.audit import audit
from foveal.api.explain import compare, stages
from foveal.attribution.context import Context
from foveal.attribution.passes import decided
from foveal.cli.console import info
from foveal.engine.pyramid import PYRAMID
from foveal.errors import TargetError
from foveal.methods import METHODS
from foveal.models.model import placed
from foveal.render.drawing import Drawing
from foveal.render.figure_file import save_figure
from foveal.render.figure_notes import ADVICE
from foveal.render.scale import percent
from foveal.results.value_words import value_words
from foveal.storage.atomic import whole_file
from foveal.storage.naming import distinct_names, plain_name
from foveal.targets import Class, TargetScore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from foveal.attribution.perturbation import Progress
    from foveal.engine.stages import Stage
    from foveal.images import Batch
    from foveal.models import Model
    from foveal.results import Explanation
    from foveal.targets import Target


UNITS = {1: "samples", 2: "pixels"}
"""What the input is made of, by how many axes of space it has."""


@dataclass(frozen=True)
class PhotoRequest:
    """What is asked about every photo."""

    model: Model
    target: Target | None
    methods: tuple[str, ...]
    layers: tuple[str | int, ...] | None
    fuse: str | None = None
    resolution: int = 1
    scales: tuple[float, ...] = (1.0,)
    audit: bool = False
    drawing: Drawing = field(default_factory=Drawing)
    flat: bool = False
    save_map: bool = False
    printed: set[str] = field(default_factory=set)
    """Notes on the network that were printed with an earlier photo."""


@dataclass(frozen=True)
class PhotoAnswer:
    """The explanations of one photo by all methods, and what is said of each to machines."""

    explanations: Sequence[Explanation]
    rows: list[dict[str, Any]]


def explain_photo(
    request: PhotoRequest, photo: Path, batch: Batch, folder: Path, progress: Progress | None = None
) -> PhotoAnswer:
    """The answer on one photo, saved under `folder` and told on standard error."""
    explanations = [replace(why, drawing=request.drawing) for why in _compared(request, batch, progress)]
    named = request.target is not None or explanations[0].score is None
    several = explanations[0].labels_each > 1
    predicted = None
    if not several:
        predicted = _predicted(request.model, batch) if named else _explained_class(explanations[0])
    inside = any(why.layers != ("input",) for why in explanations)  # functions have no stages
    steps: Sequence[Stage] = stages(request.model, batch) if inside else ()
    rows = []
    info(f"{photo} → {folder}{'-*.png' if request.flat else ''}", *_in_words(request, explanations, predicted, steps))
    info(*_notes(request, explanations))
    for why in explanations:
        files = _flat(why, folder) if request.flat else _whole(why, folder / why.method)
        rows.append(_row(request, why, photo, predicted, steps) | {"folder": str(files[0].parent)})
        maps = _maps(why, folder, flat=request.flat) if request.save_map else []
        rows[-1]["files"] = [str(file) for file in (*files, *maps)]
        if request.audit:
            hidings = [*audit(request.model, batch, request.target, explanations=why, layer=why.layer)]
            info(*(f"  {why.method} audit: {hiding.summary}" for hiding in hidings))
            audits = [hiding.to_dict() for hiding in hidings]
            rows[-1]["audit"] = audits if several else audits[0]
        if several:
            rows[-1]["files"].insert(0, str(_sheet(why, folder, flat=request.flat)))
    if not several and (len(explanations) > 1 or len(explanations[0].layers) > 1):
        name = folder.with_name(f"{folder.name}-sheet.png") if request.flat else folder / "sheet.png"
        sheet = save_figure(name, [(explanations, 0)], drawing=replace(request.drawing, size=None))
        rows[0]["files"].insert(0, str(sheet))
    return PhotoAnswer(explanations, rows)


def _whole(why: Explanation, folder: Path) -> list[Path]:
    """Everything, in a folder that `Explanation.load` reads; its overlays."""
    why.save(folder)
    saved = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return [folder / overlay["file"] for overlay in saved["overlays"]]


def _flat(why: Explanation, folder: Path) -> list[Path]:
    """The overlays alone, beside where the folder would be: out/bird-gradcam-stage3.png."""
    files = []
    for layer, i, name in _named(why):
        files.append(folder.with_name(f"{folder.name}-{why.method}-{name}.png"))
        with whole_file(files[-1]) as aside:
            why.overlay(i, layer=layer).save(aside)
    return files


def _maps(why: Explanation, folder: Path, *, flat: bool) -> list[Path]:
    """The maps as files of numbers that lie where the image lay: out/bird/gradcam/map-stage3.tif."""
    from foveal.results.map_file import ending_of

    files = []
    for layer, i, name in _named(why):
        start = folder.with_name(f"{folder.name}-{why.method}-") if flat else folder / why.method / "map-"
        files.append(why.save_map(f"{start}{name}{ending_of(why.photos[i])}", i, layer=layer))
    return files


def _named(why: Explanation) -> Iterator[tuple[str, int, str]]:
    """Layer, row, and what a file of that map is called."""
    layers = distinct_names(plain_name(layer) for layer in why.layers)
    rows = [f"-{name}" for name in distinct_names(map(plain_name, why.target))] if len(why) > 1 else [""]
    for layer, name in zip(why.layers, layers, strict=True):
        for i, row in enumerate(rows):
            yield layer, i, f"{name}{row}"


def _sheet(why: Explanation, folder: Path, *, flat: bool) -> Path:
    """All labels of the photo, by one method."""
    file = folder.with_name(f"{folder.name}-{why.method}-labels.png") if flat else folder / f"{why.method}-labels.png"
    with whole_file(file) as aside:
        why.figure("labels").save(aside)
    return file


def _compared(request: PhotoRequest, batch: Batch, progress: Progress | None) -> Sequence[Explanation]:
    """The explanations asked for; with "all", of the methods that apply to this network and layer."""
    every = "all" in request.methods
    methods = request.methods or ("gradcam",)
    explanations = compare(
        request.model,
        batch,
        request.target,
        methods=methods,
        layer=request.layers,
        progress=progress,
        resolution=request.resolution,
        scales=request.scales,
    )
    if every:
        left_out = [method for name, method in METHODS.items() if name not in {why.method for why in explanations}]
        info(*(f"left out {method.name}: it needs {method.condition}" for method in left_out))
    if request.fuse:
        return [why if why.layers == ("input",) else why.fused(request.fuse) for why in explanations]
    return explanations


def _predicted(model: Model, batch: Batch) -> TargetScore | None:
    """The class the network would choose, whatever was explained; None where it chooses none."""
    context = Context(model, placed(batch, model.module).tensor, Class())
    try:
        return decided(context).verdict
    except TargetError:
        return None


def _explained_class(why: Explanation) -> TargetScore:
    """The prediction that was explained anyway."""
    assert why.score is not None
    return TargetScore(why.score, why.target, why.target_spec, why.probability)


def _in_words(
    request: PhotoRequest, explanations: Sequence[Explanation], predicted: TargetScore | None, steps: Sequence[Stage]
) -> list[str]:
    lines = []
    if predicted is not None:
        words = value_words(predicted.spec, 0) or f"{predicted.label[0]}{_percent(predicted)}"
        lines.append(f"  predicted  {words}")
    if meaning := explanations[0].meaning:
        lines.append(f"  output     {meaning}")
    lines += [f"  explained  {explanations[0].summary(i)}" for i in range(len(explanations[0]))]
    chosen = request.layers is None
    by_layers: dict[tuple[str, ...], list[Explanation]] = {}
    for why in explanations:
        by_layers.setdefault(tuple(why.layers), []).append(why)
    for layers, whys in by_layers.items():
        of = f" ({', '.join(why.method for why in whys)})" if len(by_layers) > 1 else ""
        lines += [f"  layer      {layer}{of}: {_choice(layer, whys[0], steps, chosen=chosen)}" for layer in layers]
    return lines


def _notes(request: PhotoRequest, explanations: Sequence[Explanation]) -> list[str]:
    """Each note once, with its methods where it is not of all; those on the network are not repeated for each photo."""
    methods: dict[str, list[str]] = {}
    for why in explanations:
        for note in why.notes:
            methods.setdefault(note, []).append(why.method)
    lines = [
        f"  {'' if len(explanations) > 1 and len(who) == len(explanations) else ', '.join(who) + ' '}note: {note}"
        for note, who in methods.items()
        if note not in request.printed and note not in request.model.notes
    ]
    request.printed.update(note for note in methods if ADVICE in note)
    return lines


def _percent(verdict: TargetScore) -> str:
    return "" if verdict.probability is None else f", {percent(float(verdict.probability[0]))}"


def _choice(layer: str, why: Explanation, steps: Sequence[Stage], *, chosen: bool) -> str:
    """What a layer is among the stages, and why it was chosen if nobody named it."""
    number = next((i for i, stage in enumerate(steps, 1) if stage.name == layer), None)
    if layer == PYRAMID and number is None:
        words = "the levels of the feature pyramid, added on the cells of the finest"
        return f"{words}; chosen because the boxes come from them" if chosen else words
    if number is None and layer == "input":
        return "the network's input, where this method makes its map" if chosen else "the network's input"
    if number is None:
        return "as asked"
    stage = steps[number - 1]
    cells, axes = "×".join(map(str, why.maps[layer].shape[1:])), len(stage.receptive_field)
    reach = f"{stage.receptive_field[0]} {UNITS[axes]}" if axes < 3 else _sides(stage)
    reach += "" if stage.local else " and the whole image"
    place = f"stage {number} of {len(steps)}, {cells} map, receptive field {reach}"
    return f"{place}; chosen because it is the last stage before the decision" if chosen else place


def _sides(stage: Stage) -> str:
    return f"{'×'.join(map(str, stage.receptive_field))} voxels"


def _row(
    request: PhotoRequest,
    why: Explanation,
    photo: Path,
    predicted: TargetScore | None,
    steps: Sequence[Stage],
) -> dict[str, Any]:
    """The same for machines."""
    by_name = {stage.name: {"number": number, **asdict(stage)} for number, stage in enumerate(steps, 1)}
    return {
        "photo": str(photo),
        "model": why.model,
        "method": why.method,
        "predicted": None if predicted is None else _plain(predicted),
        "target": why.target[0] if len(why) == 1 else list(why.target),
        "target_spec": dict(why.target_spec),
        "meaning": why.meaning,
        "score": _numbers(why.score),
        "probability": _numbers(why.probability),
        "layers": [{"name": layer, "stage": by_name.get(layer)} for layer in why.layers],
        "layer_chosen": _why_chosen(request, why),
        "notes": list(why.notes),
        "seconds": why.seconds,
    }


def _why_chosen(request: PhotoRequest, why: Explanation) -> str:
    if request.layers is not None:
        return "as asked"
    by_place = {"input": "where this method makes its map", PYRAMID: "the boxes come from its levels"}
    return by_place.get(why.layer, "the last stage before the decision")


def _numbers(values: Tensor | None) -> Any:
    """The number of the one row, or a list of them; None where there is none."""
    if values is None:
        return None
    return float(values[0]) if len(values) == 1 else [float(value) for value in values]


def _plain(verdict: TargetScore) -> dict[str, Any]:
    index = verdict.spec["index"]
    assert isinstance(index, list)
    chance = None if verdict.probability is None else float(verdict.probability[0])
    return {"class": verdict.label[0], "index": index[0], "probability": chance}

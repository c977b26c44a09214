"""Is the explanation true? `foveal.measure`: maps of any decision by every metric, beside maps that know nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from foveal.api.explain import explanations
from foveal.attribution.context import Context
from foveal.attribution.passes import forward_backward
from foveal.attribution.perturbation import Progress
from foveal.attribution.perturbed_score import SAID, Of, PerturbedScore, perturbed_scores
from foveal.attribution.placing import whereabouts
from foveal.attribution.prepare import check_pictures, prepare
from foveal.engine.address import INPUT
from foveal.engine.keywords import checked
from foveal.engine.select import LayerSpec
from foveal.errors import FovealError, MethodError, TargetError, UnknownMethod, shown
from foveal.images import Batch
from foveal.methods import find_methods
from foveal.metrics.baselines import black
from foveal.metrics.evaluation import Evaluation, EvaluationSettings
from foveal.metrics.metric import Metric, find_metrics
from foveal.metrics.placement import Box
from foveal.metrics.references import REFERENCES, norm_map
from foveal.metrics.sensitivity import Explainer
from foveal.models.model import Model
from foveal.results import Explanation, Match, Parts
from foveal.results.provenance import versions
from foveal.results.scores import Scores
from foveal.results.tree import Tree
from foveal.targets import Class, Margin, Neuron, Target, TargetLike, Task

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from numpy.typing import NDArray

    from foveal.images import ImageLike, Photo, Place, Preprocessing

MapSource: TypeAlias = "str | Explanation | Match | Tree | RepeatableMap | Float[Tensor, 'n h w']"
GRID = 28
STEPS = 49
SMALLEST = 0.25  # share of an object that the network must have seen
EVERY = (*REFERENCES, "activation")


@checked
def measure(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    explanations: MapSource | Sequence[MapSource] | Mapping[str, MapSource],
    metrics: str | Sequence[str] = "usual",
    layer: str | None = None,
    of: Of = "auto",
    references: Sequence[str] | bool = True,
    masks: Sequence[Bool[NDArray[np.bool_], "H W"]] | None = None,
    boxes: Sequence[Sequence[Box]] | None = None,
    setting: EvaluationSettings | None = None,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Scores:
    """How true explanations are: each by every metric, picture by picture, beside maps that know nothing.

    The class of the clean picture (or whatever the decision turned out to be) is asked of all altered copies. Metrics
    of one map share their forwards.

        why = foveal.explain(model, "bird.jpg", method="hirescam")
        table = foveal.measure(model, "bird.jpg", explanations=[why, "gradcam", "lrp-gamma"])
        print(table); table.summary("hirescam", "deletion"); table.values["hirescam"]["road"]

    Args:
        explanations: results of `explain`, `flow`, `parts` (what each place brings), `decompose` (the tree as one map),
            `match` (with one reference), names of methods, maps (n, h, w), or several of these, by name in a mapping.
        target: the decision; may be left out where a result says it, or for the predicted class.
        metrics: names, see `foveal.metrics.METRICS`; "usual", "object", "all".
        layer: of results with several; None for the deepest, "all" for each.
        of: what is asked: "auto" is a probability where the decision has one, see `attribution.perturbed_score`.
        references: which of "random", "center", "edges", "constant", "activation" stand beside; True for all.
        masks: a picture each, true on the object, in the photo's pixels; for metrics of localization.
        boxes: several a picture, (x0, y0, x1, y1) in the photo's pixels.
        setting: steps, baselines, samples, seed. The default compares all maps on one grid of 28 × 28 places in 49
            steps; `foveal.metrics.EvaluationSettings()` is each map's own grid in 196.
        progress: hears (what, done, total).

    The other arguments are those of `explain`. Raises FovealError, one sentence on what does not fit; a map with values
    that are not finite is undefined in every metric, and counted.
    """
    started = time.perf_counter()
    chosen = find_metrics(metrics)
    many = by_name(explanations)
    if target is None:
        target = target_of(many.values())
    context = prepare(
        model, images, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    check_pictures(context.batch, "metrics")
    maps = collect_maps(context, many, layer)
    explained = set(maps)
    maps |= reference_maps(context, maps, references)
    known = _objects(context.batch, masks, boxes)
    chosen = _askable(chosen, known, maps)
    setting = _black(setting or default_setting(context.x), context.subject)
    n = len(context.photos)
    values: dict[str, dict[str, list[float]]] = {name: {metric: [] for metric in chosen} for name in maps}
    with perturbed_scores(context, of) as asked:
        for i, question in enumerate(asked):
            for number, (name, entry) in enumerate(maps.items()):
                measured = _tried(context, i, entry, question, known, setting, chosen)
                for metric, value in measured.items():
                    values[name][metric].append(value)
                if progress:
                    progress("measuring", i * len(maps) + number + 1, n * len(maps))
        return Scores(
            values={name: {m: tuple(v) for m, v in by_metric.items()} for name, by_metric in values.items()},
            pictures=tuple(photo.source for photo in context.photos),
            target=tuple(question.label for question in asked),
            whole=tuple(question.whole for question in asked),
            of=SAID[asked[0].of],
            references=tuple(name for name in maps if name not in explained),
            model=context.subject.name,
            setting=setting.to_dict(),
            forwards=sum(question.count for question in asked),
            notes=_notes(context, asked),
            seconds=time.perf_counter() - started,
            versions=versions(),
        )


def _notes(context: Context, asked: Sequence[PerturbedScore]) -> tuple[str, ...]:
    """Each remark once, in order."""
    remarks = context.remarks([question.label for question in asked], photos=True)
    return tuple(dict.fromkeys([*remarks, *(note for question in asked for note in question.notes)]))


def default_setting(x: Float[Tensor, "n c h w"], *, steps: int = STEPS) -> EvaluationSettings:
    """All maps on one grid, as fine as 28 × 28 where the picture has so many pixels."""
    return EvaluationSettings(steps=steps, grid=(min(GRID, x.shape[2]), min(GRID, x.shape[3])))


@dataclass(frozen=True, eq=False)
class NamedMaps:
    """The maps of one method for all pictures, and how to make others like them.

    Attributes:
        again: (number of the picture, target, input) to maps, for metrics that explain altered pictures.
        layer: where they are from, if they are from a layer.
        place: where their cells lie on the network's input; None is edge to edge.
    """

    maps: Float[Tensor, "n h w"]
    again: Callable[[int, Target, Tensor], Tensor] | None = None
    layer: str | None = None
    place: Place | None = None


@dataclass(frozen=True, eq=False)
class Objects:
    """Where objects are on the network's input: (n, h, w), or None; boxes a picture."""

    inside: Bool[Tensor, "n h w"] | None
    boxes: Sequence[Sequence[Box]] | None


def _tried(
    context: Context, i: int, entry: NamedMaps, question: PerturbedScore, known: Objects, setting: EvaluationSettings,
    metrics: Mapping[str, Metric],
) -> dict[str, float]:  # fmt: skip
    """Every metric of one map of picture i; NaN for a map that is not finite."""
    if not bool(torch.isfinite(entry.maps[i]).all()):
        return dict.fromkeys(metrics, float("nan"))
    explainer: Explainer | None = partial(entry.again, i, question.decision) if entry.again else None
    trial = Evaluation(
        context.x[i : i + 1],
        entry.maps[i],
        question,
        None if known.inside is None else known.inside[i],
        () if known.boxes is None else known.boxes[i],
        explainer,
        question.whole,
        setting,
        entry.place,
    )
    return {name: metric(trial) for name, metric in metrics.items()}


# --- what is measured ---


def by_name(given: MapSource | Sequence[MapSource] | Mapping[str, MapSource]) -> dict[str, MapSource]:
    """Explanations by name."""
    if isinstance(given, Mapping):
        return dict(given)
    each: list[MapSource] = list(given) if isinstance(given, list | tuple) else [given]  # type: ignore[list-item]
    if not each:
        raise MethodError("there is nothing to measure: give an explanation, or the name of a method")
    named: dict[str, MapSource] = {}
    for source in each:
        name = source if isinstance(source, str) else getattr(source, "method", None) or _kind(source)
        free = (f"{name} {number}" if number > 1 else name for number in range(1, len(each) + 1))
        named[next(key for key in free if key not in named)] = source
    return named


def _kind(source: Any) -> str:
    return "fam" if isinstance(source, Match) else "gap" if isinstance(source, Tree) else "map"


def target_of(explanations: Any) -> Target | None:
    """The decision that results explain, where they say enough; None is the predicted class."""
    for result in (source.why if isinstance(source, RepeatableMap) else source for source in explanations):
        if not isinstance(result, Explanation | Tree):
            if isinstance(result, Match):
                raise TargetError("say what was compared with: target=foveal.Similar(reference, metric=…)")
            continue
        spec: Any = result.target_spec
        kind = spec.get("kind")
        if kind in ("class", "value"):
            return Class(spec["index"])
        if kind == "margin":
            return Margin(spec["a"], spec["b"])
        if kind == "neuron":
            return Neuron(spec["layer"], spec["channel"], tuple(spec["position"]) if spec["position"] else None)
        if kind == "none":
            continue
        words = result.target if isinstance(result, Tree) else result.target[0]
        raise TargetError(
            f"a result about {words!r} does not hold its references: pass the same target again, target=…"
        )
    return None


def explained(
    model: nn.Module | Model, images: ImageLike | Batch, target: TargetLike, methods: Sequence[str],
    layer: LayerSpec = None,
) -> dict[str, RepeatableMap]:  # fmt: skip
    """What `measure` and `audit` make of methods by name, made once for both."""
    return repeatable(prepare(model, images, target), methods, layer)


def repeatable(context: Context, methods: Sequence[str], layer: LayerSpec = None) -> dict[str, RepeatableMap]:
    """Methods by name, all on one forward, each able to explain altered pictures the same way."""
    chosen = find_methods(methods)
    whys = explanations(context, chosen, layer, leave_out=bool({"all", "fast"} & {*methods}))
    return {why.method: RepeatableMap(why, partial(_again, context, why.method, why.layer)) for why in whys}


@dataclass(frozen=True, eq=False)
class RepeatableMap:
    """An explanation, and how to make others like it: (number of the picture, target, input) to maps."""

    why: Explanation
    again: Callable[[int, Target, Tensor], Tensor]


def _again(
    context: Context, method: str, layer: str, i: int, target: Target, x: Float[Tensor, "k c h w"]
) -> Float[Tensor, "k h w"]:
    """Maps of k altered copies of picture i."""
    (photo,) = context.photos[i : i + 1]
    copies = replace(
        context, x=x, target=target, photos=(photo,) * len(x), arguments=context.arguments.row(i), notes=()
    )
    (why,) = explanations(copies, find_methods([method]), layer)
    return why.map


def collect_maps(context: Context, many: Mapping[str, MapSource], layer: str | None) -> dict[str, NamedMaps]:
    """Maps by name; those of methods named are made, all on one forward."""
    names = [name for name in many.values() if isinstance(name, str)]
    made = repeatable(context, names) if names else {}
    collected: dict[str, NamedMaps] = {}
    for name, source in many.items():
        if isinstance(source, str):
            (spelled,) = find_methods(source)
            source = made[spelled]
        again = source.again if isinstance(source, RepeatableMap) else None
        why = source.why if isinstance(source, RepeatableMap) else source
        if isinstance(why, Parts):
            collected[name] = NamedMaps(why.places, again, place=why.where.get(why.layer))
        elif isinstance(why, Tree):
            collected[name] = NamedMaps(why.map()[None])
        elif isinstance(why, Explanation):
            layers = why.layers if layer == "all" else (why.layer if layer is None else layer,)
            for at in layers:
                if at not in why.maps:
                    raise MethodError(f"{name} has no map of {at!r}: it has {', '.join(why.layers)}")
                spelled = f"{name} at {at}" if len(layers) > 1 else name
                collected[spelled] = NamedMaps(why.maps[at], again, at, why.where.get(at))
        elif isinstance(why, Match):
            collected[name] = NamedMaps(why.query_maps[:, 0], place=why.query_where)
        else:
            assert not isinstance(why, str | RepeatableMap)
            collected[name] = NamedMaps(why)
    for name, each in collected.items():
        if each.maps.ndim != 3 or len(each.maps) != len(context.photos):
            raise MethodError(
                f"{len(context.photos)} pictures need as many maps (n, h, w), but {name} has {tuple(each.maps.shape)}"
            )
    return collected


def reference_maps(
    context: Context, maps: Mapping[str, NamedMaps], wanted: Sequence[str] | bool
) -> dict[str, NamedMaps]:
    """Maps that know nothing, as many as wanted, in brackets."""
    names = EVERY if wanted is True else tuple(wanted or ())
    unknown = [name for name in names if name not in EVERY]
    if unknown:
        raise UnknownMethod(f"there is no reference {unknown[0]!r}: say {', '.join(EVERY)}")
    x = context.x
    named = {name: NamedMaps(REFERENCES[name](x), partial(_unasked, name)) for name in names if name != "activation"}
    layer = next((entry.layer for entry in maps.values() if entry.layer and entry.layer != INPUT), None)
    if "activation" in names:
        try:
            at = layer if layer and " of " not in layer else context.layers(None)[0]
            passed = forward_backward(context, [at], gradient=False, backward=False)
            map = norm_map(passed.activations[at])
            named["activation"] = NamedMaps(map, place=whereabouts(context, {at: map}).where.get(at))
        except FovealError:
            if wanted is not True:
                raise  # asked for by name
    return {f"({name})": entry for name, entry in named.items()}


def _unasked(name: str, i: int, target: Target, x: Float[Tensor, "k c h w"]) -> Float[Tensor, "k h w"]:
    """The reference map of altered pictures, whatever was asked."""
    return REFERENCES[name](x)


def _askable(metrics: Mapping[str, Metric], known: Objects, maps: Mapping[str, NamedMaps]) -> dict[str, Metric]:
    """Of several metrics named at once, those that there is something for."""
    there = {
        "map": True,
        "network": True,
        "object": known.inside is not None,
        "boxes": known.boxes is not None,
        "explainer": all(entry.again for entry in maps.values()),
    }
    askable = {name: metric for name, metric in metrics.items() if there[metric.needs]}
    if not askable:
        needed = ", ".join(sorted({metric.needs for metric in metrics.values()}))
        raise MethodError(
            f"none of these metrics can be measured here: they need the {needed}; pass masks= or boxes=, or methods by "
            "name with references=False"
        )
    return askable


def _black(setting: EvaluationSettings, subject: Model) -> EvaluationSettings:
    """What "black" is for this model."""
    own: dict[str, Any] = {name: getattr(setting, name) for name in ("delete", "insert", "mask")}
    if not any(isinstance(fill, str) and fill == "black" for fill in own.values()):
        return setting
    if subject.preprocessing is None:
        raise MethodError("what black is depends on the preprocessing, and this model has none: pass preprocessing=")
    color = black(subject.preprocessing.mean, subject.preprocessing.std)
    fills: dict[str, Any] = {
        name: color if isinstance(fill, str) and fill == "black" else fill for name, fill in own.items()
    }
    return replace(setting, **fills)


# --- where the object is ---


def _objects(batch: Batch, masks: Sequence[NDArray[np.bool_]] | None, boxes: Sequence[Sequence[Box]] | None) -> Objects:
    n = len(batch.photos)
    for what, given in (("masks", masks), ("boxes", boxes)):
        if given is not None and len(given) != n:
            raise MethodError(f"{n} pictures need {what} for each, but {len(given)} were given")
    seen = None if boxes is None else [_seen(photo, own) for photo, own in zip(batch.photos, boxes, strict=True)]
    inside = None
    if masks is not None:
        inside = torch.stack([_on_input(photo, mask) for photo, mask in zip(batch.photos, masks, strict=True)])
    elif seen is not None:
        inside = torch.stack([_filled(photo, own) for photo, own in zip(batch.photos, seen, strict=True)])
    return Objects(inside, seen)


def _on_input(photo: Photo, mask: NDArray[np.bool_]) -> Bool[Tensor, "h w"]:
    """What each pixel of the network's input shows, by the photo's pixel at its center."""
    mask = np.asarray(mask, bool)
    if mask.shape != photo.geometry.photo_size:
        raise MethodError(f"the mask of {photo.source} is {mask.shape}, but the photo is {photo.geometry.photo_size}")
    h, w = photo.geometry.input_size
    y, x = np.meshgrid(np.arange(h) + 0.5, np.arange(w) + 0.5, indexing="ij")
    at = np.floor(photo.geometry.points_to_photo(np.stack([x, y], -1))).astype(int)
    rows, columns = at[..., 1], at[..., 0]
    there = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    return torch.from_numpy(mask[rows.clip(0, mask.shape[0] - 1), columns.clip(0, mask.shape[1] - 1)] & there)


def _seen(photo: Photo, boxes: Sequence[Box]) -> list[Box]:
    """Boxes on the network's input, without those of which a crop left less than a quarter."""
    h, w = photo.geometry.input_size
    inside = []
    for box in _boxes(photo, boxes):
        x0, y0, x1, y1 = photo.geometry.boxes_to_input(box).tolist()
        left, top, right, bottom = max(x0, 0.0), max(y0, 0.0), min(x1, float(w)), min(y1, float(h))
        area = max(0.0, right - left) * max(0.0, bottom - top)
        if area > 0 and area >= SMALLEST * (x1 - x0) * (y1 - y0):
            inside.append((left, top, right, bottom))
    return inside


def _boxes(photo: Photo, boxes: Sequence[Box]) -> NDArray[np.float64]:
    """(k, 4), the numbers of each."""
    try:
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    except (ValueError, TypeError):
        corners = np.full((1, 4), np.nan)
    if not np.isfinite(corners).all():
        raise MethodError(f"the boxes of {photo.source} are {shown(boxes)}: a box is x0, y0, x1, y1")
    return corners


def _filled(photo: Photo, boxes: Sequence[Box]) -> Bool[Tensor, "h w"]:
    inside = torch.zeros(photo.geometry.input_size, dtype=torch.bool)
    for x0, y0, x1, y1 in boxes:
        inside[round(y0) : round(y1), round(x0) : round(x1)] = True
    return inside

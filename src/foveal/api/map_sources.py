"""What is measured: maps of results, of methods by name, and baseline maps that ignore the network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor, nn

from foveal.api.explain import explanations
from foveal.attribution.context import Context
from foveal.attribution.passes import forward_backward
from foveal.attribution.placing import whereabouts
from foveal.attribution.prepare import prepare
from foveal.engine.address import INPUT
from foveal.engine.layout import SPACE
from foveal.engine.select import LayerSpec, named_layers
from foveal.errors import FovealError, MethodError, TargetError, UnknownMethod, shown
from foveal.images import Batch
from foveal.methods import WORDS, Method, MethodLike, MethodsLike, find_method, find_methods, is_method, optional
from foveal.metrics.baseline_maps import BASELINE_MAPS, norm_map
from foveal.models.model import Model
from foveal.results import Explanation, Match, Parts
from foveal.results.explanations import Explanations
from foveal.results.tree import Tree
from foveal.targets import Against, Class, Group, Labels, Margin, Neuron, Target, TargetLike, Value

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.images import ImageLike, Place

EVERY = (*BASELINE_MAPS, "activation")

MapSource: TypeAlias = "MethodLike | Explanation | Match | Tree | RepeatableMap | Float[Tensor, 'n h w']"


@dataclass(frozen=True, eq=False)
class NamedMaps:
    """The maps of one method for all images, and how to make others like them.

    Attributes:
        again: (number of the image, target, input) to maps, for metrics that explain altered images.
        layer: where they are from, if they are from a layer.
        place: where their cells lie on the network's input; None is edge to edge.
    """

    maps: Float[Tensor, "n h w"]
    again: Callable[[int, Target, Tensor], Tensor] | None = None
    layer: str | None = None
    place: Place | None = None


def by_name(given: MapSource | Sequence[MapSource] | Mapping[str, MapSource]) -> dict[str, MapSource]:
    """Explanations by name."""
    if isinstance(given, Mapping):
        return dict(given)
    each: list[MapSource] = list(given) if isinstance(given, list | tuple | Explanations) else [given]  # type: ignore[list-item]
    if not each:
        raise MethodError("there is nothing to measure: give an explanation, or the name of a method")
    named: dict[str, MapSource] = {}
    for source in each:
        name = _method_name(source) if is_method(source) else getattr(source, "method", None) or _kind(source)
        free = (f"{name} {number}" if number > 1 else name for number in range(1, len(each) + 1))
        named[next(key for key in free if key not in named)] = source
    return named


def _method_name(source: MethodLike) -> str:
    """A name as it was given; of a method of one's own, its name."""
    return source if isinstance(source, str) and ".py" not in source else next(iter(find_methods(source)))


def _kind(source: Any) -> str:
    return "fam" if isinstance(source, Match) else "gap" if isinstance(source, Tree) else "map"


def target_of(explanations: Any) -> Target | None:
    """The decision that results explain, where they say enough; None is the predicted class."""
    for result in (source.why if isinstance(source, RepeatableMap) else source for source in explanations):
        if not isinstance(result, Explanation | Tree):
            if isinstance(result, Match):
                raise TargetError("give the references of the comparison: target=foveal.Similar(reference, metric=…)")
            continue
        spec: Any = result.target_spec
        kind = spec.get("kind")
        if kind in ("class", "value") and 1 < spec.get("each", 1) <= len(spec["index"]):
            return Labels(spec["index"][: spec["each"]])
        if kind == "class":
            return Class(spec["index"])
        if kind == "value":
            return Value(spec["index"], spec.get("direction", "up"), spec.get("reference"))
        if kind == "margin":
            return Margin(spec["a"], spec["b"])
        if kind == "group":
            return Group(spec["classes"], spec["name"])
        if kind == "against":
            return Against(spec["index"], strength=spec["strength"], rivals=spec["rivals"])
        if kind == "neuron":
            return Neuron(spec["layer"], spec["channel"], tuple(spec["position"]) if spec["position"] else None)
        if kind == "none":
            continue
        words = result.target if isinstance(result, Tree) else result.target[0]
        raise TargetError(f"a result about {words!r} has no references: pass the same target again, target=…")
    return None


def words_of(explanations: Any, context: Context) -> tuple[str, ...]:
    """What results call the target of each image, where the network has no labels of its own; else nothing."""
    if context.subject.labels:
        return ()
    for result in (source.why if isinstance(source, RepeatableMap) else source for source in explanations):
        if isinstance(result, Explanation | Tree) and result.target_spec.get("kind") != "none":
            words = (result.target,) if isinstance(result, Tree) else result.target
            return words if len(words) == len(context.x) else ()
    return ()


def explained(
    model: nn.Module | Model, images: ImageLike | Batch, target: TargetLike, methods: MethodsLike,
    layer: LayerSpec = None,
) -> dict[str, RepeatableMap]:  # fmt: skip
    """What `measure` and `audit` make of methods by name, made once for both."""
    return repeatable(prepare(model, images, target), methods, named_layers(model, layer))


def repeatable(context: Context, methods: MethodsLike, layer: LayerSpec = None) -> dict[str, RepeatableMap]:
    """Methods by name, all on one forward, each able to explain altered pictures the same way."""
    return _repeatable(context, find_methods(methods), layer, optional(methods))


def _repeatable(
    context: Context, chosen: Mapping[str, Method], layer: LayerSpec = None, leave_out: Collection[str] = ()
) -> dict[str, RepeatableMap]:
    whys = explanations(context, chosen, layer, leave_out=leave_out)
    return {why.method: RepeatableMap(why, partial(_again, context, chosen[why.method], why.layer)) for why in whys}


@dataclass(frozen=True, eq=False)
class RepeatableMap:
    """An explanation, and how to make others like it: (number of the image, target, input) to maps."""

    why: Explanation
    again: Callable[[int, Target, Tensor], Tensor]


def _again(
    context: Context, method: Method, layer: str, i: int, target: Target, x: Float[Tensor, "k c h w"]
) -> Float[Tensor, "k h w"]:
    """Maps of k altered copies of image i."""
    (photo,) = context.photos[i : i + 1]
    copies = replace(
        context, x=x, target=target, photos=(photo,) * len(x), arguments=context.arguments.row(i), notes=()
    )
    (why,) = explanations(copies, {method.name: method}, layer)
    return why.map


def collect_maps(context: Context, many: Mapping[str, MapSource], layer: str | None) -> dict[str, NamedMaps]:
    """Maps by name; those of methods named are made, all on one forward."""
    many = _with_methods(context, many)
    collected: dict[str, NamedMaps] = {}
    for name, source in many.items():
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
        elif isinstance(why, Tensor):
            collected[name] = NamedMaps(why)
        else:
            raise MethodError(
                f"{shown(why)} is no explanation: give results of foveal, names of methods, or maps (n, h, w)"
            )
    for name, each in collected.items():
        if each.maps.ndim != context.x.ndim - 1 or len(each.maps) != len(context.photos):
            letters = f"(n, {SPACE.get(context.x.ndim - 2, '*space')})"
            raise MethodError(
                f"{len(context.photos)} images need as many maps {letters}, but {name} has {tuple(each.maps.shape)}"
            )
    return collected


def _with_methods(context: Context, many: Mapping[str, MapSource]) -> dict[str, MapSource]:
    """The same, methods replaced by their explanations, all on one forward; words that stand for several by each."""
    methods: dict[str, Method] = {}
    named: dict[str, list[str]] = {}
    for name, source in many.items():
        if is_method(source):
            several = isinstance(source, str) and source in WORDS
            own = find_methods(source) if several else {name: find_method(source)}
            named[name] = list(own)
            methods = {**own, **methods} if several else {**methods, **own}
    leave_out = {name for word in named if many[word] in WORDS for name in named[word]} - {*many}
    made = _repeatable(context, methods, leave_out=leave_out) if methods else {}
    return {
        own: made[own] if name in named else source
        for name, source in many.items()
        for own in named.get(name, [name])
        if name not in named or own in made
    }


def collect_baseline_maps(
    context: Context, maps: Mapping[str, NamedMaps], wanted: Sequence[str] | bool
) -> dict[str, NamedMaps]:
    """Baseline maps, as many as wanted; names in brackets."""
    names = EVERY if wanted is True else tuple(wanted or ())
    unknown = [name for name in names if name not in EVERY]
    if unknown:
        raise UnknownMethod(f"there is no baseline map {unknown[0]!r}: say {', '.join(EVERY)}")
    layer = next((entry.layer for entry in maps.values() if entry.layer and entry.layer != INPUT), None)
    named = baseline_maps_at(context, layer, [name for name in names if name != "activation"])
    if "activation" in names:
        try:
            named |= baseline_maps_at(context, layer, ["activation"])
        except FovealError:
            if wanted is not True:
                raise  # asked for by name
    return {f"({name})": entry for name, entry in named.items()}


def baseline_maps_at(context: Context, layer: str | None, names: Sequence[str]) -> dict[str, NamedMaps]:
    """Baseline maps by name; that of the activations is of this layer, or of the last stage.

    Raises:
        LayerError, ModelError: where the layer has no map.
    """
    x = context.x
    blind = [name for name in names if name != "activation"]
    named = {name: NamedMaps(BASELINE_MAPS[name](x), partial(_unasked, name)) for name in blind}
    if "activation" in names:
        at = layer if layer and " of " not in layer else context.layers(None)[0]
        passed = forward_backward(context, [at], gradient=False, backward=False)
        map = norm_map(passed.activations[at])
        named["activation"] = NamedMaps(map, layer=at, place=whereabouts(context, {at: map}).where.get(at))
    return named


def _unasked(name: str, i: int, target: Target, x: Float[Tensor, "k c h w"]) -> Float[Tensor, "k h w"]:
    """The baseline map of altered images, whatever the decision."""
    return BASELINE_MAPS[name](x)

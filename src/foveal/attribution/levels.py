"""One map of all levels of a feature pyramid.

Each level adds evidence of its own to the score, so their maps are added: level l on the cells of the finest, divided
by how many of these one of its cells covers. Behind HiResCAM, whose maps sum to Σ A ⊙ G, the sum is that of all levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from foveal.attribution.attribute import Attributions, MethodRequest, attribute
from foveal.engine.guard import unwrap
from foveal.engine.pyramid import PYRAMID
from foveal.errors import MethodError, UnknownLayer
from foveal.images.place import Place, carried

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.attribution.context import Context
    from foveal.attribution.method import Method
    from foveal.attribution.perturbation import Progress
    from foveal.engine.select import LayerSpec


def attribute_levels(
    context: Context, asked: Sequence[MethodRequest], progress: Progress | None = None
) -> Attributions:
    """`attribute`, where a layer may be the pyramid: all of its levels, and their maps joined."""
    if not any(PYRAMID in request.layers for request in asked):
        return attribute(context, asked, progress)
    levels = context.tracing().levels
    refused = {
        request.name: _one_layer(request.name, levels)
        for request in asked
        if PYRAMID in request.layers and request.method.needs == "forwards"
    }
    kept = [request for request in asked if request.name not in refused]
    each = [replace(request, layers=_each(request.layers, levels)) for request in kept]
    evidence = attribute(context, each, progress)
    evidence.refused |= refused
    image = (context.x.shape[-2], context.x.shape[-1])
    places = [evidence.where.get(level) for level in levels]
    for request in kept:
        if PYRAMID not in request.layers or request.name not in evidence.maps:
            continue
        maps = evidence.maps[request.name]
        own: dict[str, Any] = {layer: maps[layer] for layer in request.layers if layer != PYRAMID}
        evidence.maps[request.name] = {PYRAMID: joined([maps[level] for level in levels], places, image), **own}
    if places[0] is not None:
        evidence.where[PYRAMID] = places[0]
    evidence.notes.append(f"maps of {len(levels)} levels of the feature pyramid are added: {', '.join(levels)}")
    return evidence


def joined_levels(context: Context, wanted: LayerSpec, method: Method) -> tuple[str, ...]:
    """The pyramid, where it is asked for, or where boxes are found in it and no layer is named; else nothing.

    Methods that alter a layer look at the last stage.

    Raises:
        LayerError: where it is asked for and there is none.
    """
    if wanted == PYRAMID and PYRAMID not in unwrap(context.model)._modules:
        if not context.tracing().levels:
            raise UnknownLayer(f"{context.tracing().model} has no feature pyramid: name a layer, or leave it out")
        return (PYRAMID,)
    if wanted is not None or context.target is None or context.target.layers or method.needs == "forwards":
        return ()
    structure = context.tracing()
    return (PYRAMID,) if structure.detects and structure.levels else ()


def check_one_path(context: Context, what: str) -> None:
    """MethodError where boxes are found at several levels of a pyramid: no level holds all of the evidence for them.

    Args:
        what: goes from layer to layer: "a tree".
    """
    if context.target is None or context.target.layers:
        return
    structure = context.tracing()
    if structure.detects and structure.levels:
        raise MethodError(
            f"{what} goes from layer to layer, each made of the one before, and {structure.model} finds boxes at "
            f"{len(structure.levels)} levels of a feature pyramid side by side: explain the box by hirescam or rise"
        )


def joined(
    maps: Sequence[Float[Tensor, "n h w"]], places: Sequence[Place | None], image: tuple[int, int]
) -> Float[Tensor, "n h w"]:
    """Σ_l of the maps, finest first, on the cells of the first, per cell."""
    size = (maps[0].shape[1], maps[0].shape[2])
    finest = places[0] or Place.covering(size, image)
    total = maps[0]
    for map, place in zip(maps[1:], places[1:], strict=True):
        own = place or Place.covering((map.shape[1], map.shape[2]), image)
        share = abs(finest.step[0] * finest.step[1] / (own.step[0] * own.step[1]))
        total = total + share * carried(map, own, finest, size)
    return total


def _each(layers: Sequence[str], levels: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(level for layer in layers for level in (levels if layer == PYRAMID else (layer,))))


def _one_layer(method: str, levels: Sequence[str]) -> MethodError:
    return MethodError(
        f"{method} alters one layer, and this network decides by several levels of a pyramid: say layer={levels[0]!r} "
        "or another level, or use gradcam, rise or occlusion"
    )

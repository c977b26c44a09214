"""The picture shown at several scales: what is found at all of them, at the resolution of the largest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor
from torch.nn import functional as F

from foveal.attribution.attribute import Attributions, MethodRequest
from foveal.attribution.context import Context
from foveal.attribution.dilated import other_score, pinned, run_once
from foveal.errors import ModelError
from foveal.images.place import Place
from foveal.results.fusion import finest, fuse

if TYPE_CHECKING:
    from jaxtyping import Float

See: TypeAlias = Callable[[Context], Attributions]
"""How the images of one scale are explained."""


def at_scales(context: Context, asked: Sequence[MethodRequest], scales: Sequence[float], see: See) -> Attributions:
    """Maps of the picture at each scale, each by its own largest value, averaged at the resolution of the finest."""
    verdict = run_once(context, [context.tracing().usual.name])[0]
    same = pinned(context, verdict)
    each = [_at_scale(same, scale, see) for scale in scales]
    notes = []
    for scale, evidence in zip(scales, each, strict=True):
        notes += [f"scale {scale:g}: {note}" if note.startswith("at resolution") else note for note in evidence.notes]
        if verdict and evidence.verdict and scale != 1:
            notes.append(other_score(f"scale {scale:g}", verdict, evidence.verdict))
    shown = ", ".join(f"{scale:g}" for scale in scales)
    notes.append(
        f"a mean over scales {shown}, each map divided by its largest value: the maps are shares, not parts of the "
        "score"
    )
    refused = {name: error for evidence in each for name, error in evidence.refused.items()}
    kept = [request for request in asked if request.name not in refused]
    where = [_on(context.x, scale, evidence) for scale, evidence in zip(scales, each, strict=True)]
    image = (context.x.shape[-2], context.x.shape[-1])
    return Attributions(
        verdict=verdict,
        maps={request.name: _over_scales(each, request.name, where, image) for request in kept},
        where={layer: place for request in kept for layer, place in _of_the_finest(each, request.name, where).items()},
        notes=notes,
        cautions={request.name: [words for e in each for words in e.cautions[request.name]] for request in kept},
        measured={request.name: each[_nearest(scales)].measured[request.name] for request in kept},
        refused=refused,
    )


def _at_scale(context: Context, scale: float, see: See) -> Attributions:
    if scale == 1:
        return see(context)
    x = scaled(context.x, scale)
    try:
        return see(replace(context, x=x))
    except ModelError as error:
        h, w = x.shape[2:]
        raise ModelError(f"{error}; the network does not take {h}×{w} pixels, so leave out scale {scale:g}") from error


def scaled(x: Float[Tensor, "n c h w"], scale: float) -> Float[Tensor, "n c h2 w2"]:
    """Resized, to one pixel at least: bilinear, and averaging where pixels are lost."""
    size = _scaled(x.shape[2:], scale)
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=scale < 1)


def _scaled(size: Sequence[int], scale: float) -> list[int]:
    return [max(1, round(side * scale)) for side in size]


def _on(x: Float[Tensor, "n c h w"], scale: float, evidence: Attributions) -> dict[str, Place]:
    """Where the maps at a scale lie on the picture as it is."""
    (h, w), (tall, wide) = x.shape[-2:], _scaled(x.shape[-2:], scale)
    return {layer: place.scaled((h / tall, w / wide)) for layer, place in evidence.where.items()}


def _of_the_finest(each: Sequence[Attributions], name: str, where: Sequence[Mapping[str, Place]]) -> dict[str, Place]:
    """Whose cells the mean over scales has."""
    most = {layer: finest([evidence.maps[name][layer] for evidence in each]) for layer in each[0].maps[name]}
    return {layer: where[i][layer] for layer, i in most.items() if layer in where[i]}


def _over_scales(
    each: Sequence[Attributions], name: str, where: Sequence[Mapping[str, Place]], image: tuple[int, int]
) -> dict[str, Tensor]:
    return {
        layer: fuse(
            [evidence.maps[name][layer] for evidence in each],
            "mean",
            places=[places.get(layer) for places in where],
            image=image,
        )
        for layer in each[0].maps[name]
    }


def _nearest(scales: Sequence[float]) -> int:
    """Which scale is nearest to the picture as it is."""
    return min(range(len(scales)), key=lambda i: abs(math.log(scales[i])))

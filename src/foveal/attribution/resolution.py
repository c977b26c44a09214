"""Maps finer than the network's own: its last stages dilated, or the picture shown at several scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from foveal.attribution.attribute import Attributions, MethodRequest, attribute
from foveal.attribution.context import Context
from foveal.attribution.levels import attribute_levels
from foveal.engine.pyramid import PYRAMID
from foveal.errors import MethodError
from foveal.targets import Neuron

if TYPE_CHECKING:
    from foveal.attribution.perturbation import Progress

LARGEST = 2**28  # pixels of an enlarged picture


def attribute_at(
    context: Context,
    asked: Sequence[MethodRequest],
    progress: Progress | None = None,
    *,
    resolution: int = 1,
    scales: Sequence[float] = (1.0,),
) -> Attributions:
    """`attribute`, at a finer resolution or several scales; the decision is the one made as built and at scale 1.

    Raises:
        MethodError: when resolution and scales are no such numbers, or cannot be had of this network.
    """
    scales = tuple(float(scale) for scale in scales)
    if resolution < 1 or resolution != int(resolution):
        raise MethodError(f"cannot make maps {resolution} times finer: resolution is a whole number, mostly 2 or 4")
    if not scales or any(not 0 < scale < math.inf for scale in scales) or len(set(scales)) < len(scales):
        raise MethodError(f"cannot use scales {scales}: give different numbers above 0, such as 1, 1.5, 2")
    h, w = (*context.x.shape[2:], 1, 1)[:2]
    if max(h * w * scale**2 for scale in scales) > LARGEST:
        raise MethodError(f"cannot use scale {max(scales):g} of {h}×{w} pixels: this does not fit into memory")
    if resolution == 1 and scales == (1.0,):
        return attribute_levels(context, asked, progress)
    from foveal.attribution.dilated import at_resolution
    from foveal.attribution.multiscale import See, at_scales

    _refuse(context, scales, [layer for request in asked for layer in request.layers])
    if resolution == 1:
        see: See = partial(attribute, asked=asked, progress=progress)
    else:
        see = partial(at_resolution, asked=asked, progress=progress, resolution=resolution)
    return see(context) if scales == (1.0,) else at_scales(context, asked, scales, see)


def _refuse(context: Context, scales: Sequence[float], layers: Sequence[str]) -> None:
    from foveal.targets import Box

    if context.x.ndim != 4:
        raise MethodError(
            f"resolution and scales are for images (n, c, h, w), not for inputs of shape {tuple(context.x.shape)}: "
            "leave them out"
        )
    if context.differentiable:
        raise MethodError("differentiable maps need the network at its own resolution: leave out resolution and scales")
    if PYRAMID in layers:
        raise MethodError("levels of a pyramid are joined as built: name one layer, or leave out resolution and scales")
    if tuple(scales) != (1.0,) and (isinstance(context.target, Box) or context.tracing().detects):
        raise MethodError("a box is in pixels of the image as it is: leave out scales")
    if isinstance(context.target, Neuron) and context.target.position is not None:
        raise MethodError(
            f"position {context.target.position} of {context.target.layer} is another position in a finer map: "
            "leave out resolution and scales, or the position"
        )


def settings(resolution: int, scales: Sequence[float]) -> dict[str, Any]:
    """What to remember of how a map was made."""
    changed: dict[str, Any] = {}
    if resolution != 1:
        changed["resolution"] = int(resolution)
    if tuple(scales) != (1.0,):
        changed["scales"] = [float(scale) for scale in scales]
    return changed

"""The same network with its last stages dilated: a map several times finer, from the same weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from foveal.attribution.attribute import Attributions, MethodRequest, attribute
from foveal.attribution.context import Context
from foveal.engine.address import INPUT
from foveal.engine.capture import capture
from foveal.engine.dilation import Dilated, Grid
from foveal.errors import MethodError, ModelError
from foveal.targets import TargetScore
from foveal.targets.fixed import FixedTarget

if TYPE_CHECKING:
    from foveal.attribution.perturbation import Progress

Kept: TypeAlias = "dict[str, tuple[Tensor, Grid]]"
"""Layer -> its activation, and how its cells lie to those of the network as built."""


def at_resolution(
    context: Context, asked: Sequence[MethodRequest], progress: Progress | None, resolution: int
) -> Attributions:
    """The evidence in maps `resolution` times finer at the deepest layer, and nowhere coarser than there."""
    layers = tuple(dict.fromkeys(layer for request in asked for layer in request.layers if layer != INPUT))
    if not layers:
        raise MethodError(f"resolution={resolution} is for layers: a map at the input has one value per pixel already")
    at = with_resolution(context, layers, resolution)
    evidence = attribute(at.context, asked, progress)
    evidence.verdict = at.verdict
    evidence.notes += at.notes
    return evidence


@dataclass(frozen=True)
class FinerContext:
    """A question whose every forward runs at a finer resolution.

    Attributes:
        context: the same about what the network decides as built.
        verdict: which is this.
        notes: what a reader must know of the difference.
    """

    context: Context
    verdict: TargetScore | None
    notes: tuple[str, ...]


def with_resolution(context: Context, layers: Sequence[str], resolution: int) -> FinerContext:
    """The context with the map of the deepest of `layers` `resolution` times finer, and nothing coarser than that.

    Raises:
        ModelError, MethodError: for a network that cannot be run so.
    """
    if resolution < 1:
        raise MethodError(f"cannot make maps {resolution} times finer: resolution is a whole number, mostly 2 or 4")
    verdict, built = run_once(context, layers)
    deepest = max(layers, key=lambda layer: built[layer][1].stride)
    y, x = built[deepest][1].stride
    same = pinned(context, verdict)
    finest = (y / resolution, x / resolution)
    try:
        again, finer = run_once(same, layers, finest)
    except ModelError as error:
        raise ModelError(
            f"{error}; the network takes maps of one size, so leave out resolution={resolution}, or fuse earlier layers"
        ) from error
    _check_factor(deepest, finer[deepest][1], built[deepest][1], resolution)
    notes = [note for layer in layers if (note := _shared(layer, built[layer][0], *finer[layer], resolution))]
    if verdict and again:
        notes.append(other_score(f"resolution {resolution}", verdict, again))
    factors = {layer: grid.factor for layer, (_, grid) in finer.items()}
    return FinerContext(replace(same, mode=partial(Dilated, finest), finer=factors), verdict, tuple(notes))


def run_once(
    context: Context, layers: Sequence[str], finest: tuple[float, float] = (math.inf, math.inf)
) -> tuple[TargetScore | None, Kept]:
    """The decision, the layers, and how they lie, from one forward."""
    decision, mode = context.target, Dilated(finest)
    every = [*dict.fromkeys([*layers, *(decision.layers if decision else ())])]
    with capture(context.model, every, gradient=decision is not None) as run:
        output = run.forward(context.x, context.arguments, mode=mode)
        outcome = context.outcome(output, run.activations, context.embedding)
        verdict = decision.decide(outcome) if decision else None
        kept = {layer: (run.activations[layer].detach(), mode.grid(run.activations[layer])) for layer in layers}
    return verdict.detached() if verdict else None, kept


def pinned(context: Context, verdict: TargetScore | None) -> Context:
    """The same about what was decided, whatever another form of the images would make the network decide."""
    return replace(context, target=FixedTarget(verdict)) if verdict and verdict.per_image else context


def _check_factor(layer: str, finer: Grid, built: Grid, resolution: int) -> None:
    if finer.factor != (resolution, resolution):
        y, x = built.stride
        cells = f"{y} pixels" if y == x else f"{y} × {x} pixels"
        raise MethodError(
            f"the map of {layer}, whose cells lie {cells} apart, cannot be made {resolution} times finer: "
            "choose a resolution that divides its stride (2 or 4, mostly), or a layer before any resizing"
        )


def _shared(layer: str, built: Tensor, finer: Tensor, grid: Grid, resolution: int) -> str | None:
    """How equal the cells are that both maps have. Exactly, unless something looked at a finer map as a whole.

    Raises:
        MethodError: where they differ without such a reason.
    """
    axes = grid.axes(finer)
    if grid.factor == (1, 1) or axes is None:
        return None
    own = [slice(None, None, grid.factor[axes.index(axis)]) if axis in axes else slice(None) for axis in range(4)]
    apart = float((finer[tuple(own)] - built).abs().amax() / built.abs().amax().clamp(min=1e-30))
    if apart < 1e-3:
        return None
    if grid.local:
        raise MethodError(
            f"the map of {layer} at resolution={resolution} does not contain the network's own map: an operation "
            "before it, such as padding that depends on the map's size, differs; use a lower resolution, or scales"
        )
    return (
        f"at resolution {resolution} the cells of {layer} that both maps have differ by up to {100 * apart:.2g} % of "
        "the largest, because the network uses whole maps before it (squeeze-excite, attention, …)"
    )


def other_score(where: str, verdict: TargetScore, other: TargetScore) -> str:
    """What the same decision scores there: the maps explain that number."""
    pairs = list(zip(other.score.tolist(), verdict.score.tolist(), strict=True))
    if len(pairs) == 1:
        return f"at {where} the score is {pairs[0][0]:.3g} instead of {pairs[0][1]:.3g}"
    most = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
    return f"at {where} the scores differ: {most[0]:.3g} instead of {most[1]:.3g} where they differ most"

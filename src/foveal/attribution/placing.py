"""Where the cells of maps lie, for results to carry: what draws them and what measures them then do it in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor, nn

from foveal.engine.address import is_input
from foveal.engine.guard import unwrap
from foveal.errors import FovealError
from foveal.images.place import Place

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.engine.structure import Structure

WORTH = 0.05  # of a side of the picture
AXES = ("slices", "rows", "columns")


@dataclass(frozen=True)
class Whereabouts:
    """Layer -> the place of its map, without those that lie edge to edge; and what is not known."""

    where: Mapping[str, Place] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def whereabouts(context: Context, maps: Mapping[str, Tensor]) -> Whereabouts:
    """Of the maps (n, h, w), or (n, *space), of layers of a context."""
    return located(context.model, context.tracing, context.x.shape, maps, context.finer)


def located(
    model: nn.Module,
    tracing: Callable[[], Structure],
    shape: Sequence[int],
    maps: Mapping[str, Tensor],
    finer: Mapping[str, tuple[int, int]] | None = None,
) -> Whereabouts:
    """Of maps (…, h, w) by layer.

    Args:
        shape: of the network's input, (n, c, h, w) or (n, c, *space).
        finer: layer -> how many times finer its map is than the network's own.
    """
    model = unwrap(model)
    axes = len(shape) - 2
    layers = [layer for layer in maps if not is_input(model, layer)] if axes > 0 else []
    where: dict[str, Place] = {}
    unknown: dict[str, list[str]] = {}
    for layer in layers:
        place = _traced(model, tracing, layer)
        if isinstance(place, str):
            unknown.setdefault(place, []).append(layer)
        elif drawn := place.settled_finer(maps[layer].shape[-axes:], shape[2:], (finer or {}).get(layer, (1,) * axes)):
            where[layer] = drawn
    notes = [_unknown(of, why) for why, of in unknown.items()]
    notes += [
        note for layer, place in where.items() if (note := _border(layer, place, maps[layer].shape[-axes:], shape[2:]))
    ]
    return Whereabouts(where, tuple(notes))


def _traced(model: nn.Module, tracing: Callable[[], Structure], layer: str) -> Place | str:
    try:
        cells = tracing().place(model, layer)
    except FovealError:
        return "the network cannot be traced"
    return cells if isinstance(cells, str) else Place(*cells)


def _border(layer: str, place: Place, map: Sequence[int], image: Sequence[int]) -> str | None:
    """Where no cell lies, if that is more than a cell, and worth a word."""
    cells, spans, bare = place.cells_of(tuple(map)), [], False
    names = AXES[-len(image) :] if len(image) > 1 else ("samples",)
    for axis, (side, name) in enumerate(zip(image, names, strict=True)):
        step = abs(place.step[axis])
        middles = place.middles(axis, cells[axis])
        low, high = max(0.0, middles.min() - step / 2), min(float(side), middles.max() + step / 2)
        spans.append(f"{name} {low:g} to {high:g}")
        bare |= max(low, side - high) > max(step, WORTH * side)
    if not bare:
        return None
    sides, unit = " × ".join(f"{side}" for side in image), {1: "samples", 2: "pixels"}.get(len(image), "voxels")
    lie = " and ".join([", ".join(spans[:-1]), spans[-1]] if len(spans) > 1 else spans)
    return f"the cells of {layer} lie in {lie} of the network's {sides} {unit}: nothing is drawn outside"


def _unknown(layers: Sequence[str], why: str) -> str:
    names = ", ".join(layers)
    return f"it is not known where the positions of {names} lie on the image ({why}): they are drawn edge to edge"

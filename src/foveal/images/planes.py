"""What of a signal or a volume is drawn, where a flat picture is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.images.place import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray


def plane(values: NDArray[Any]) -> NDArray[Any]:
    """(h, w) of one image: a signal (length,) is one pixel high, of a volume (d, h, w) it is the middle slice."""
    while values.ndim > 2:
        values = values[values.shape[0] // 2]
    return values[None] if values.ndim == 1 else values


def planar(map: NDArray[Any], place: Place | None, space: Sequence[int]) -> tuple[NDArray[Any], Place | None]:
    """What a map has in the `plane` of an image: its cells there (h, w), and where they lie.

    Args:
        map: (h, w), which comes back as it is, (length,) or (d, h, w).
        place: where its cells lie; None is edge to edge.
        space: the size of the image, (d, h, w) of a volume.
    """
    if map.ndim == 1:
        return map[None], place and Place((0.5, *place.offset), (1.0, *place.step))
    if map.ndim == 2 or len(space) != map.ndim:
        return plane(map), place if map.ndim == 2 else None
    lie = place or Place.covering(map.shape, tuple(space))
    at, there = lie.index(0, [space[0] // 2 + 0.5], len(map))
    low = int(at[0])
    high = min(low + 1, len(map) - 1)
    cut = map[low] + (at[0] - low).astype(map.dtype) * (map[high] - map[low])
    return (cut if there[0] else np.zeros_like(cut)), place and lie.of_axes(slice(1, None))


def plane_note(space: Sequence[int]) -> tuple[str, ...]:
    """What a reader must know where the plane alone of an image of such a size is drawn; nothing but of volumes."""
    cut = " of ".join(f"slice {side // 2} (0 to {side - 1})" for side in space[:-2])
    return (f"only the middle of the volume is drawn here, {cut}",) if cut else ()

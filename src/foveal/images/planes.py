"""What of a signal or a volume is drawn, where a picture is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Array = TypeVar("Array", NDArray[Any], torch.Tensor)


def plane(values: Array) -> Array:
    """(h, w) of one image's map: a signal (length,) is one pixel high, of a volume (d, h, w) it is the middle slice."""
    while values.ndim > 2:
        values = values[values.shape[0] // 2]
    return values[None] if values.ndim == 1 else values


def plane_note(space: tuple[int, ...]) -> tuple[str, ...]:
    """What a reader must know of the picture of an image of such a size; nothing of a signal or a picture."""
    cut = " of ".join(f"slice {side // 2 + 1} of {side}" for side in space[:-2])
    return (f"only the middle of the volume is drawn, {cut}",) if cut else ()

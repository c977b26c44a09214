"""A volume as scanners store it, with what is needed to lay maps over it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Float64
    from numpy.typing import NDArray

    from foveal.images.depth import Range


@dataclass(frozen=True, eq=False)
class Volume:
    """The values of a volume in the order in which the file has them: no axis is turned or swapped.

    Attributes:
        values: (c, d, h, w), scaled as the file says; the three axes of space are the file's first, second and third,
            and c counts its time points or channels.
        spacing: millimeters from one voxel to the next along d, h, w.
        affine: (4, 4), from voxel (d, h, w, 1) to millimeters (right, anterior, superior, 1).
        meant: the values that the file declares black and white; None where it does not.
        notes: what a reader must know.
        origin: the same coordinates in plain values, for maps that go back out.
    """

    values: NDArray[Any]
    spacing: tuple[float, float, float]
    affine: Float64[NDArray[Any], "4 4"]
    meant: Range | None = None
    notes: tuple[str, ...] = ()
    origin: dict[str, Any] | None = None

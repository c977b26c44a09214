"""Where the cells of a map lie on the network's input.

    edge to edge    h × w cells that tile the picture; what is meant where nothing else is said
    a `Place`       the middle of the first cell, and the step to the next; networks without padding leave a border,
                    strides with padding shift cells towards the first row and column, flips count backwards

Coordinates are those of `Geometry`: continuous pixels of the input, row i covers [i, i + 1], its middle is i + 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from numpy.typing import ArrayLike, NDArray

    Array = TypeVar("Array", NDArray[Any], torch.Tensor)

Pair: TypeAlias = tuple[float, float]
Size: TypeAlias = "tuple[int, int]"

TILE = 0.5  # of a cell, on either side of its middle


@dataclass(frozen=True)
class Place:
    """Cell (i, j) of a map lies around the input's point `offset` + (i, j) · `step`.

        conv 5×5 ── max-pool 2 ── conv 5×5, none of them padded ──▶ Place((6.5, 6.5), (2.0, 2.0))

    Attributes:
        offset: (y, x), the middle of the first cell.
        step: (y, x), from one cell to the next; negative where the map is mirrored.
        turned: the map's rows are the picture's columns, so it must be transposed first; `offset` and `step` are (y, x)
            all the same.
    """

    offset: Pair
    step: Pair
    turned: bool = False

    @classmethod
    def covering(cls, cells: Size, image: Size) -> Place:
        """Edge to edge."""
        step = (image[0] / cells[0], image[1] / cells[1])
        return cls((step[0] / 2, step[1] / 2), step)

    def upright(self, map: Array) -> Array:
        """(…, h, w) with the rows of the picture as rows; of an upright map, the map's own orientation."""
        return map.swapaxes(-1, -2) if self.turned else map

    def cells_of(self, map: Size) -> Size:
        """How many cells a map (h, w) has along the picture's columns and rows."""
        return (map[1], map[0]) if self.turned else map

    def middles(self, axis: int, cells: int) -> NDArray[np.float64]:
        """Where the cells of an upright map lie, along the picture's axis 0 (y) or 1 (x)."""
        return np.asarray(self.offset[axis] + self.step[axis] * np.arange(cells), np.float64)

    def index(self, axis: int, at: ArrayLike, cells: int) -> NDArray[np.float64]:
        """Which cell of an upright map lies at points of an axis, in fractions; beyond the outermost it stays that."""
        return np.clip((np.asarray(at, np.float64) - self.offset[axis]) / self.step[axis], 0, cells - 1)

    def points(self, cells: ArrayLike) -> Float[NDArray[np.float64], "... 2"]:
        """(x, y) on the input of cells (row, column) of the map as it is; shape (..., 2)."""
        rows_columns = np.asarray(cells, np.float64)
        yx = rows_columns[..., ::-1] if self.turned else rows_columns
        return np.asarray((yx * self.step + self.offset)[..., ::-1])

    def finer(self, factor: tuple[int, int]) -> Place:
        """That of a map of which every `factor`-th row and column, from the first on, are this map's."""
        y, x = self.cells_of(factor)
        return Place(self.offset, (self.step[0] / y, self.step[1] / x), self.turned)

    def scaled(self, ratio: Pair) -> Place:
        """The same on an input that is `ratio` (y, x) times as large."""
        (oy, ox), (sy, sx), (ry, rx) = self.offset, self.step, ratio
        return Place((oy * ry, ox * rx), (sy * ry, sx * rx), self.turned)

    def settled(self, map: Sequence[int], image: Sequence[int]) -> Place | None:
        """The place at which a map (h, w) is drawn and measured: this one, or None for edge to edge.

        As long as every middle lies within the tile that its cell has edge to edge, the tiles are used. In networks
        with strides and padding the middles are up to half a cell off, and what trained weights respond to lies between
        the two; there tiles meet the objects at least as well (docs/methods.md has the numbers).
        """
        return self if self.astray((map[0], map[1]), (image[0], image[1])) > TILE else None

    def astray(self, map: Size, image: Size) -> float:
        """How far the cells of a map (h, w) lie from where they would edge to edge, at most; in cells."""
        if self.turned:
            return float("inf")
        tiled = Place.covering(map, image)
        apart = [
            np.abs(self.middles(axis, map[axis]) - tiled.middles(axis, map[axis])).max() / tiled.step[axis]
            for axis in (0, 1)
        ]
        return float(max(apart))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return {"offset": list(self.offset), "step": list(self.step), "turned": self.turned}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Place:
        """The place that `to_dict` wrote."""
        (oy, ox), (sy, sx) = saved["offset"], saved["step"]
        if not np.isfinite([oy, ox, sy, sx]).all() or not sy or not sx:
            raise ValueError(f"cells cannot lie at {saved!r}")
        return cls((float(oy), float(ox)), (float(sy), float(sx)), bool(saved["turned"]))


def laid(
    map: Float[torch.Tensor, "... h w"], size: Sequence[int], place: Place | None, image: Sequence[int] | None = None
) -> Float[torch.Tensor, "... h2 w2"]:
    """The map in `size` cells that tile the input, bilinearly; beyond its outermost middles the edge value goes on.

    Args:
        place: where the map's own cells lie; None is edge to edge.
        image: (h, w) of the input in pixels; left out where `size` is that.
    """
    image = size if image is None else image
    if place is None:
        return _stretched(map, size)
    return carried(map, place, Place.covering((size[0], size[1]), (image[0], image[1])), size)


def carried(
    map: Float[torch.Tensor, "... h w"], place: Place, target: Place, size: Sequence[int]
) -> Float[torch.Tensor, "... h2 w2"]:
    """The map in the cells of another map of that size, which lie at `target`."""
    upright = place.upright(map)
    for axis, cells in enumerate(target.cells_of((size[0], size[1]))):
        dim = upright.ndim - 2 + axis
        at = place.index(axis, target.middles(axis, cells), upright.shape[dim])
        upright = _between(upright, at, dim)
    return target.upright(upright)


def _between(values: torch.Tensor, at: NDArray[np.float64], dim: int) -> torch.Tensor:
    """Values at fractional indices along a dimension; a + t (b − a) keeps constants exact."""
    import torch

    low = np.floor(at)
    lower = torch.from_numpy(low).long().to(values.device)
    upper = (lower + 1).clamp(max=values.shape[dim] - 1)
    t = torch.from_numpy(at - low).to(values).view(-1, *[1] * (values.ndim - 1 - dim))
    a, b = values.index_select(dim, lower), values.index_select(dim, upper)
    return a + t * (b - a)


def _stretched(map: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    from torch.nn import functional

    planes = map.reshape(-1, 1, *map.shape[-2:])
    grown = functional.interpolate(planes, tuple(size), mode="bilinear", align_corners=False)
    return grown.view(*map.shape[:-2], *size)

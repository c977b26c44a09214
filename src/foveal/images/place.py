"""Where the cells of a map lie on the network's input.

    edge to edge    h × w cells that tile the picture; what is meant where nothing else is said
    a `Place`       the middle of the first cell, and the step to the next; networks without padding leave a border,
                    strides with padding shift cells towards the first row and column, flips count backwards

A cell has its tile, half a step on each side of its middle; where there is no tile there is no evidence.

Coordinates are those of `Geometry`: continuous pixels of the input, row i covers [i, i + 1], its middle is i + 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from numpy.typing import ArrayLike, NDArray

    Array = TypeVar("Array", NDArray[Any], torch.Tensor)

Sides: TypeAlias = "tuple[float, ...]"
"""A number for each axis of space: (y, x) of pictures, (x,) of signals, (z, y, x) of volumes."""
Size: TypeAlias = "tuple[int, ...]"
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""What torch calls interpolation along so many axes."""

TILE = 0.5  # of a cell, on either side of its middle


@dataclass(frozen=True)
class Place:
    """Cell (i, j) of a map lies around the input's point `offset` + (i, j) · `step`.

        conv 5×5 ── max-pool 2 ── conv 5×5, none of them padded ──▶ Place((6.5, 6.5), (2.0, 2.0))

    Attributes:
        offset: (y, x), the middle of the first cell; a number for each axis of space.
        step: (y, x), from one cell to the next; negative where the map is mirrored.
        turned: the map's rows are the picture's columns, so it must be transposed first; `offset` and `step` are (y, x)
            all the same.
    """

    offset: Sides
    step: Sides
    turned: bool = False

    @classmethod
    def covering(cls, cells: Size, image: Size) -> Place:
        """Edge to edge."""
        step = tuple(side / count for side, count in zip(image, cells, strict=True))
        return cls(tuple(width / 2 for width in step), step)

    def upright(self, map: Array) -> Array:
        """(…, h, w) with the rows of the picture as rows; of an upright map, the map's own orientation."""
        return map.swapaxes(-1, -2) if self.turned else map

    def cells_of(self, map: Size) -> Size:
        """How many cells a map (h, w) has along the picture's columns and rows."""
        return map[::-1] if self.turned else map

    def middles(self, axis: int, cells: int) -> NDArray[np.float64]:
        """Where the cells of an upright map lie, along the picture's axis 0 (y) or 1 (x)."""
        return np.asarray(self.offset[axis] + self.step[axis] * np.arange(cells), np.float64)

    def index(self, axis: int, at: ArrayLike, cells: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Which cell of an upright map lies at points of an axis, in fractions, and whether its tile reaches so far.

        Beyond the middles of the outermost cells it stays that cell.
        """
        index = (np.asarray(at, np.float64) - self.offset[axis]) / self.step[axis]
        return np.clip(index, 0, cells - 1), np.abs(index - (cells - 1) / 2) <= cells / 2 + 1e-9

    def points(self, cells: ArrayLike) -> Float[NDArray[np.float64], "... 2"]:
        """(x, y) on the input of cells (row, column) of the map as it is; shape (..., 2), or as many as axes."""
        rows_columns = np.asarray(cells, np.float64)
        yx = rows_columns[..., ::-1] if self.turned else rows_columns
        return np.asarray((yx * self.step + self.offset)[..., ::-1])

    def refined(self, factor: Size) -> Place:
        """That of a map of which every `factor`-th row and column, from the first on, are this map's."""
        finer = zip(self.step, self.cells_of(factor), strict=True)
        return Place(self.offset, tuple(step / times for step, times in finer), self.turned)

    def scaled(self, ratio: Sides) -> Place:
        """The same on an input that is `ratio` (y, x) times as large."""
        offset, step = (
            tuple(value * times for value, times in zip(own, ratio, strict=True)) for own in (self.offset, self.step)
        )
        return Place(offset, step, self.turned)

    def of_axes(self, axes: slice) -> Place:
        """That of a map along some axes of space alone, such as a slice of a volume."""
        return Place(self.offset[axes], self.step[axes])

    def settled(self, map: Sequence[int], image: Sequence[int]) -> Place | None:
        """The place at which a map (h, w) is drawn and measured: this one, or None for edge to edge.

        As long as every middle lies within the tile that its cell has edge to edge, the tiles are used. In networks
        with strides and padding the middles are up to half a cell off, and what trained weights respond to lies between
        the two; there tiles meet the objects at least as well (docs/methods.md has the numbers).
        """
        if self.astray(map, image) > TILE:
            return self
        tiles = self._tiles(map, image)
        return None if tiles == Place.covering(tuple(map), tuple(image)) else tiles

    def settled_finer(self, map: Sequence[int], image: Sequence[int], factor: Size) -> Place | None:
        """The place of a map (h, w) of which every `factor`-th cell is this map's, drawn where this map draws them.

        As `settled` of the finer map. Only where that leaves the tiles while this map keeps its own, off by up to half
        of a larger cell, the finer map keeps to this map's tiles: the same numbers are not drawn in two places.
        """
        exact = self.refined(factor)
        finer = exact.settled(map, image)
        own = tuple(-(-cells // times) for cells, times in zip(map, factor, strict=True))
        if finer != exact or self.settled(own, image) == self:
            return finer
        return self._tiles(own, image).refined(factor)

    def astray(self, map: Sequence[int], image: Sequence[int]) -> float:
        """How far the middles of a map's cells lie from those of their tiles, in cells, at most."""
        tiles, cells = self._tiles(map, image), self.cells_of(tuple(map))
        apart = [
            np.abs(self.middles(k, count) - tiles.middles(k, count)).max() / abs(tiles.step[k])
            for k, count in enumerate(cells)
        ]
        return float(max(apart))

    def _tiles(self, map: Sequence[int], image: Sequence[int]) -> Place:
        """Edge to edge, mirrored and turned as this is."""
        whole = Place.covering(self.cells_of(tuple(map)), tuple(image))
        steps = tuple(math.copysign(width, own) for width, own in zip(whole.step, self.step, strict=True))
        offset = tuple(step / 2 if step > 0 else side + step / 2 for step, side in zip(steps, image, strict=True))
        return Place(offset, steps, self.turned)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return {"offset": list(self.offset), "step": list(self.step), "turned": self.turned}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Place:
        """The place that `to_dict` wrote."""
        offset, step = (tuple(map(float, saved[name])) for name in ("offset", "step"))
        if len(offset) != len(step) or not 1 <= len(step) <= 3 or not np.isfinite([*offset, *step]).all() or 0 in step:
            raise ValueError(f"cells cannot lie at {saved!r}")
        return cls(offset, step, bool(saved["turned"]))


def laid(
    map: Float[torch.Tensor, " ... *space"],
    size: Sequence[int],
    place: Place | None,
    image: Sequence[int] | None = None,
    *,
    beyond: bool = False,
) -> Float[torch.Tensor, " ... *size"]:
    """The map in `size` cells that tile the input, linearly along each axis; 0 where no cell of its own lies.

    Args:
        size: as many numbers as the map has axes of space: (h, w) of pictures.
        place: where the map's own cells lie; None is edge to edge.
        image: (h, w) of the input in pixels; left out where `size` is that.
        beyond: the outermost cells go on to the edges instead.
    """
    image = size if image is None else image
    if place is None:
        return _stretched(map, size)
    tiles = Place.covering(tuple(size), tuple(image))
    return carried(map, place, tiles, size, beyond=beyond)


def carried(
    map: Float[torch.Tensor, " ... *space"], place: Place, target: Place, size: Sequence[int], *, beyond: bool = False
) -> Float[torch.Tensor, " ... *size"]:
    """The map in the cells of another map of that size, which lie at `target`."""
    upright = place.upright(map)
    for axis, cells in enumerate(target.cells_of(tuple(size))):
        dim = upright.ndim - len(size) + axis
        at, there = place.index(axis, target.middles(axis, cells), upright.shape[dim])
        upright = _between(upright, at, there | beyond, dim)
    return target.upright(upright)


def _between(values: torch.Tensor, at: NDArray[np.float64], there: NDArray[np.bool_], dim: int) -> torch.Tensor:
    """Values at fractional indices along a dimension; a + t (b − a) keeps constants exact."""
    import torch

    def along(numbers: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(numbers).to(values.device).view(-1, *[1] * (values.ndim - 1 - dim))

    lower = torch.from_numpy(np.floor(at)).long().to(values.device)
    upper = (lower + 1).clamp(max=values.shape[dim] - 1)
    a, b = values.index_select(dim, lower), values.index_select(dim, upper)
    value = a + along(at - np.floor(at)).to(values) * (b - a)
    return value if there.all() else value.where(along(there), 0)


def _stretched(map: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    from torch.nn import functional

    axes = len(size)
    planes = map.reshape(-1, 1, *map.shape[-axes:])
    grown = functional.interpolate(planes, tuple(size), mode=LINEAR[axes], align_corners=False)
    return grown.view(*map.shape[:-axes], *size)

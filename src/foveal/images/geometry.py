"""Where a point of the photo lies in the network's input, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import ImageError
from foveal.images.place import Place

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Geometry:
    """How one photo was resized and cropped: photo point `p` lies at input point `p * scale - offset`.

    Coordinates are continuous and (x, y): pixel column j covers [j, j + 1], its center is j + 0.5. Sizes,
    `scale` and `offset` are (vertical, horizontal), as array shapes are. A negative offset is a border added
    by padding.

    `places` says where the cells of a result's maps for this photo lie on the input, by their size (h, w); other maps
    cover it edge to edge.

        photo 640×480 ── resize short side to 256 ──▶ 341×256 ── crop 224×224 ──▶ scale 0.533, offset (16, 58)
    """

    photo_size: tuple[int, int]
    input_size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]
    places: Mapping[tuple[int, int], Place] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        numbers = (*self.photo_size, *self.input_size, *self.scale)
        finite = bool(np.isfinite([*numbers, *self.offset]).all())
        if not finite or min(numbers) <= 0:
            raise ImageError(f"A geometry needs finite numbers, positive sizes and scales, but got {self}.")

    @classmethod
    def identity(cls, size: tuple[int, int]) -> Geometry:
        """The geometry of a picture that is the network's input already."""
        return cls(size, size, (1.0, 1.0), (0.0, 0.0))

    @property
    def seen(self) -> tuple[float, float, float, float]:
        """The part of the photo the network saw, as a box (x0, y0, x1, y1) in photo coordinates."""
        (height, width), (h, w) = self.photo_size, self.input_size
        x0, y0, x1, y1 = self.boxes_to_photo([0, 0, w, h])
        return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))

    def points_to_photo(self, points: ArrayLike) -> Float[NDArray[np.float64], "... 2"]:
        """Input points (x, y) in photo coordinates; shape (..., 2)."""
        xy = _last_axis(points, 2)
        return np.asarray((xy + self.offset[::-1]) / self.scale[::-1])

    def points_to_input(self, points: ArrayLike) -> Float[NDArray[np.float64], "... 2"]:
        """Photo points (x, y) in input coordinates; shape (..., 2)."""
        return np.asarray(_last_axis(points, 2) * self.scale[::-1] - self.offset[::-1])

    def boxes_to_photo(self, boxes: ArrayLike) -> Float[NDArray[np.float64], "... 4"]:
        """Input boxes (x0, y0, x1, y1) in photo coordinates; shape (..., 4). Not clipped to the photo."""
        corners = _last_axis(boxes, 4)
        return self.points_to_photo(corners.reshape(*corners.shape[:-1], 2, 2)).reshape(corners.shape)

    def boxes_to_input(self, boxes: ArrayLike) -> Float[NDArray[np.float64], "... 4"]:
        """Photo boxes (x0, y0, x1, y1) in input coordinates; shape (..., 4). Not clipped to the input."""
        corners = _last_axis(boxes, 4)
        return self.points_to_input(corners.reshape(*corners.shape[:-1], 2, 2)).reshape(corners.shape)

    def map_to_photo(
        self, map: NDArray[Any] | torch.Tensor, *, place: Place | None = None, fill: float = np.nan
    ) -> Float[NDArray[Any], "... H W"]:
        """The map in the photo's pixels, interpolated bilinearly; `fill` where the network did not look.

        The map may have any resolution. Each value sits in the middle of its cell, and `place` says where that is, as
        results know it of each layer (`why.where`). Left out, it is that of the result whose photo this is, if its maps
        have that size; else the cells cover the whole input edge to edge. Beyond the outermost middles the edge value
        continues to the end of the tile; where no cell lies it is 0. A constant map stays exactly constant there. Shape
        (..., h', w') becomes (..., H, W).

            >>> import numpy as np
            >>> whole = Geometry((4, 4), (2, 2), (0.5, 0.5), (0.0, 0.0))
            >>> whole.map_to_photo(np.array([[0.0, 1.0]]))[0]
            array([0.  , 0.25, 0.75, 1.  ])
        """
        cells = _numpy(map)
        place = place or self._place((cells.shape[-2], cells.shape[-1]))
        cells = place.upright(cells)
        rows, there_rows, seen_rows = self._samples(0, cells.shape[-2], place)
        columns, there_columns, seen_columns = self._samples(1, cells.shape[-1], place)
        out = _lerp(np.moveaxis(_lerp(np.moveaxis(cells, -2, 0), rows), 0, -2), columns, last=True)
        out[..., ~there_rows, :] = 0
        out[..., ~there_columns] = 0
        out[..., ~seen_rows, :] = fill
        out[..., ~seen_columns] = fill
        return out

    def cells_to_photo(
        self, cells: ArrayLike, map_size: tuple[int, int], place: Place | None = None
    ) -> Float[NDArray[np.float64], "... 2"]:
        """The middles (x, y) on the photo of cells (row, column) of a map (h, w), which lies as in `map_to_photo`."""
        place = place or self._place(map_size)
        return self.points_to_photo(place.points(_last_axis(cells, 2)))

    def _place(self, map_size: tuple[int, int]) -> Place:
        return self.places.get(map_size) or Place.covering(map_size, self.input_size)

    def _samples(
        self, axis: int, cells: int, place: Place
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """For each photo row (or column): its cell, whether there is one, and whether the network saw it."""
        at = (np.arange(self.photo_size[axis]) + 0.5) * self.scale[axis] - self.offset[axis]
        return *place.index(axis, at, cells), (at >= 0) & (at <= self.input_size[axis])

    def to_dict(self) -> dict[str, list[float]]:
        """Plain lists, for a manifest."""
        return {
            "photo_size": list(self.photo_size),
            "input_size": list(self.input_size),
            "scale": list(self.scale),
            "offset": list(self.offset),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Geometry:
        """The geometry that `to_dict` wrote."""
        try:
            (ph, pw), (ih, iw) = saved["photo_size"], saved["input_size"]
            (sy, sx), (oy, ox) = saved["scale"], saved["offset"]
            return cls((int(ph), int(pw)), (int(ih), int(iw)), (float(sy), float(sx)), (float(oy), float(ox)))
        except (KeyError, TypeError, ValueError) as error:
            raise ImageError(f"Cannot read a geometry from {saved!r}: {error}.") from error


def _lerp(values: NDArray[Any], place: NDArray[np.float64], *, last: bool = False) -> NDArray[Any]:
    """Values at fractional indices along the first (or last) axis; a + t (b - a) keeps constants exact."""
    axis = values.ndim - 1 if last else 0
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    shape = [1] * values.ndim
    shape[axis] = -1
    t = (place - low).astype(values.dtype).reshape(shape)
    a, b = values.take(low, axis=axis), values.take(high, axis=axis)
    return np.asarray(a + t * (b - a))


def _last_axis(values: ArrayLike, length: int) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != length:
        kind = "points (x, y)" if length == 2 else "boxes (x0, y0, x1, y1)"
        raise ImageError(f"Expected {kind} of shape (..., {length}), but got shape {array.shape}.")
    return array


def _numpy(map: NDArray[Any] | torch.Tensor) -> NDArray[Any]:
    """The map as a float32 or float64 array, wherever it lived."""
    if not isinstance(map, np.ndarray):
        tensor = map.detach().cpu()
        map = (tensor if tensor.element_size() > 4 else tensor.float()).numpy()
    if map.ndim < 2 or 0 in map.shape:
        raise ImageError(f"Expected a map of shape (..., h, w), but got shape {map.shape}.")
    return map if map.dtype == np.float64 else map.astype(np.float32)

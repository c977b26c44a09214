"""Shapes that a person drew or chose on a photo, and what stands where they hide it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
import torch
from pydantic import Field, model_validator

from foveal.errors import MethodError
from foveal.metrics.baselines import Fill, black, hidden
from foveal.report.answers.wire import Pair, Wire

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Geometry
    from foveal.images.preprocessing import Preprocessing

MOST_POINTS = 4000
FillName: TypeAlias = Literal["blur", "mean", "black", "noise", "impute"]
Fraction = Annotated[float, Field(ge=-1, le=2)]
Point = Annotated[list[Fraction], Field(min_length=2, max_length=2)]
Count = Annotated[int, Field(ge=0, le=4095)]
Run = Annotated[list[Count], Field(min_length=3, max_length=3)]


class Stroke(Wire):
    """A circle, or one that was drawn along a line.

    Attributes:
        radius: in fractions of the photo's width.
        points: (x, y) in fractions of its width and height.
        erase: it takes away from what was there.
    """

    radius: float = Field(gt=0, le=1)
    points: list[Point] = Field(min_length=1, max_length=MOST_POINTS)
    erase: bool = False


class Tiles(Wire):
    """Positions of a map that lies on the photo as a `GridAnswer` says.

    Attributes:
        runs: (row, first column, last column) each.
    """

    offset: Pair
    step: Pair
    runs: list[Run] = Field(max_length=MOST_POINTS)

    @model_validator(mode="after")
    def _apart(self) -> Tiles:
        if min(abs(step) for step in self.step) < 1e-4:
            raise ValueError("positions of a map lie further apart than that")
        if max(abs(value) for value in (*self.offset, *self.step)) > 1e4:
            raise ValueError("positions of a map lie on the photo or near it")
        return self


class Shape(Wire):
    """Positions of a map, and strokes of a brush over them, in the order in which they were drawn."""

    tiles: Tiles | None = None
    strokes: list[Stroke] = Field(default=[], max_length=200)

    @model_validator(mode="after")
    def _bounded(self) -> Shape:
        if sum(len(stroke.points) for stroke in self.strokes) > MOST_POINTS:
            raise ValueError(f"a shape has at most {MOST_POINTS} points")
        return self


class Edit(Wire):
    """A change of a photo.

    Attributes:
        shape: what is hidden.
        keep: everything else is hidden instead.
        fill: what stands there: the photo, blurred; its mean color; black; noise of its mean and deviation; what may
            have stood there, made up from the surroundings ("impute").
    """

    shape: Shape
    keep: bool = False
    fill: FillName = "blur"


def rasterized(shape: Shape, geometry: Geometry) -> Bool[Tensor, "h w"]:
    """The pixels of the network's input whose middles lie in a shape."""
    h, w = geometry.input_size
    middles = geometry.points_to_photo(np.stack([np.arange(max(h, w)) + 0.5] * 2, -1))
    height, width = geometry.photo_size
    xs, ys = middles[:w, 0] / width, middles[:h, 1] / height
    inside = np.zeros((h, w), bool)
    if shape.tiles is not None:
        inside |= _in_tiles(shape.tiles, xs, ys)
    for stroke in shape.strokes:
        _draw(inside, stroke, xs, ys, height / width)
    return torch.from_numpy(inside)


def _in_tiles(tiles: Tiles, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> NDArray[np.bool_]:
    ends = [(row + 1, last + 1) for row, _, last in tiles.runs] or [(1, 1)]
    chosen = np.zeros(np.max(ends, 0), bool)
    for row, first, last in tiles.runs:
        chosen[row, first : last + 1] = True
    columns, rows = (
        np.rint((at - tiles.offset[axis]) / tiles.step[axis]).astype(int) for axis, at in enumerate((xs, ys))
    )
    there = ((rows >= 0) & (rows < chosen.shape[0]))[:, None] & ((columns >= 0) & (columns < chosen.shape[1]))
    at = rows.clip(0, chosen.shape[0] - 1)[:, None], columns.clip(0, chosen.shape[1] - 1)
    return np.asarray(there & chosen[at])


def _draw(
    inside: NDArray[np.bool_], stroke: Stroke, xs: NDArray[np.float64], ys: NDArray[np.float64], tall: float
) -> None:
    """Distances in fractions of the photo's width, so that circles are round on it."""
    points, ys, r = np.asarray(stroke.points) * (1, tall), ys * tall, stroke.radius
    ends = points[1:] if len(points) > 1 else points
    for (ax, ay), (bx, by) in zip(points, ends, strict=False):
        across = slice(*np.searchsorted(xs, (min(ax, bx) - r, max(ax, bx) + r)))
        down = slice(*np.searchsorted(ys, (min(ay, by) - r, max(ay, by) + r)))
        x, y = xs[across][None], ys[down][:, None]
        length = (bx - ax) ** 2 + (by - ay) ** 2
        along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length if length else np.zeros((1, 1))
        along = along.clip(0, 1)
        near = (x - ax - along * (bx - ax)) ** 2 + (y - ay - along * (by - ay)) ** 2 <= r**2
        inside[down, across] = np.where(near, not stroke.erase, inside[down, across])


def fill_of(name: FillName, preprocessing: Preprocessing | None) -> Fill:
    """The fill as metrics take it.

    Raises:
        MethodError: for black, where it is not known what black is to the network.
    """
    if name != "black":
        return name
    if preprocessing is None:
        raise MethodError(
            "cannot fill with black: what black is to this network depends on its preprocessing, which is not known; "
            "choose another fill"
        )
    return black(preprocessing.mean, preprocessing.std)


def edited(
    x: Float[Tensor, "1 c h w"],
    where: Bool[Tensor, "k h w"],
    edit: Edit,
    preprocessing: Preprocessing | None,
) -> Float[Tensor, "k c h w"]:
    """The image with each of these shapes hidden, or with everything but it."""
    holes = (~where if edit.keep else where)[:, None].to(x.device)
    if edit.fill == "impute" and bool(holes.flatten(1).all(1).any()):
        raise MethodError("nothing is left from which the surroundings could be made up: leave a part of the photo")
    return hidden(x, holes, fill_of(edit.fill, preprocessing))

"""Maps, photos and grids as they travel to a page."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.images import Geometry, Place

Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Box = Annotated[list[float], Field(min_length=4, max_length=4)]


class Wire(BaseModel):
    """What crosses the wire: exactly these fields."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )


class GridAnswer(Wire):
    """Where the positions of a map lie on the photo, in fractions of its width and height.

    Attributes:
        offset: (x, y), the middle of the first position.
        step: (x, y), to the next one; negative where the map is mirrored.
        seen: (x0, y0, x1, y1), the part of the photo that the network saw.
        turned: the layer has the photo's columns as rows; the map is turned to stand upright, so position (row, column)
            of the map is (column, row) of the layer.
    """

    offset: Pair
    step: Pair
    seen: Box
    turned: bool = False


class MapAnswer(Wire):
    """A map of a layer: `values` are float16, row by row, base64; times `scale` they are the raw, signed map.

    Attributes:
        rows, columns: its shape.
        scale: the largest absolute value; 0 for a map that is zero everywhere.
        total: the sum of the map, in the units of the score where the method's maps add up.
    """

    rows: int
    columns: int
    values: str
    scale: float
    total: float
    grid: GridAnswer


def map_answer(values: Float[Tensor, "h w"], geometry: Geometry, place: Place | None) -> MapAnswer:
    """A map (h, w) of a photo of this geometry, ready to travel.

    Values that are not numbers travel as such and are no part of scale and total.
    """
    array = values.detach().float().cpu().numpy()
    if place and place.turned:
        array = np.ascontiguousarray(array.T)
    known = array[np.isfinite(array)]
    scale = float(np.abs(known).max()) if known.size else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        relative = (array / scale if scale else np.zeros_like(array)).astype("<f2")
    rows, columns = array.shape
    return MapAnswer(
        rows=rows,
        columns=columns,
        values=base64.b64encode(relative.tobytes()).decode(),
        scale=scale,
        total=float(known.sum(dtype=np.float64)),
        grid=grid_answer((rows, columns), geometry, place),
    )


def flat_map(values: Float[Tensor, "h w"]) -> MapAnswer:
    """A map (h, w) that lies on no photo, such as a mean of several."""
    from foveal.images import Geometry

    return map_answer(values, Geometry.identity((values.shape[0], values.shape[1])), None)


def grid_answer(cells: tuple[int, ...], geometry: Geometry, place: Place | None) -> GridAnswer:
    """Where the positions of an upright map (h, w) lie on the photo."""
    upright = replace(place, turned=False) if place else None
    (x0, y0), (x1, y1) = geometry.cells_to_photo([[0, 0], [1, 1]], (cells[0], cells[1]), upright)
    height, width = geometry.photo_size
    left, top, right, bottom = geometry.seen
    return GridAnswer(
        offset=[x0 / width, y0 / height],
        step=[(x1 - x0) / width, (y1 - y0) / height],
        seen=[left / width, top / height, right / width, bottom / height],
        turned=bool(place and place.turned),
    )

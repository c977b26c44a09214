"""What a map shows, in words: for those who do not see it, and for those who want it said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from foveal.images.place import Place
from foveal.images.planes import planar
from foveal.render.scale import choose_scale, nothing_to_show, number

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray

    from foveal.images import Geometry


def describe_map(
    map: Float[NDArray[np.floating], "*space"],
    geometry: Geometry,
    place: Place | None = None,
    space: tuple[int, ...] | None = None,
) -> str:
    """Where the evidence lies on the photo, and how much of the map holds half of it.

    `place` says where the map's positions lie, as for `Geometry.map_to_photo`; `space` is the size of a signal
    (length,) or a volume (d, h, w).

    >>> from foveal.images import Geometry
    >>> describe_map(np.array([[0.0, 4.0], [1.0, 0.0]]), Geometry.identity((2, 2)))
    'Most evidence lies at the top right; half of it fits in 25 % of the map; values 0 to 4.'
    """
    problem = nothing_to_show(map, choose_scale(map))
    if problem:
        return problem[0].upper() + problem[1:] + "."
    signed = choose_scale(map).sign == "signed"
    size = np.abs(map) if signed else np.clip(map, 0, None)
    cell = np.unravel_index(size.argmax(), size.shape)
    subject = "Most evidence"
    if signed:
        subject = f"The strongest evidence, {'in favor' if map[cell] > 0 else 'against'},"
    if space is not None and len(space) == map.ndim != 2:
        lies = _in_space(cell, place or Place.covering(map.shape, space), space)
    else:
        flat, place = planar(map, place, space or geometry.input_size)
        x, y = geometry.cells_to_photo(cell[-2:] if map.ndim > 1 else (0, *cell), (flat.shape[0], flat.shape[1]), place)
        lies = _place(x / geometry.photo_size[1], y / geometry.photo_size[0])
    return (
        f"{subject} lies {lies}; half of it fits in "
        f"{_half_share(size):.0%} of the map; values {number(float(map.min()))} to {number(float(map.max()))}."
    ).replace("%", " %")


def _in_space(cell: tuple[np.intp, ...], place: Place, space: tuple[int, ...]) -> str:
    """ "at sample 93 of 187", "at slice 4, row 60, column 12 of 16 × 112 × 112", counted from 0."""
    at = [min(max(int(p), 0), side - 1) for p, side in zip(place.points([*cell])[::-1], space, strict=True)]
    names = ("sample",) if len(space) == 1 else ("slice", "row", "column")
    spelled = ", ".join(f"{name} {number}" for name, number in zip(names, at, strict=True))
    return f"at {spelled} of {' × '.join(map(str, space))}"


def _place(x: float, y: float) -> str:
    """One of the nine thirds of an image, for a point in 0..1."""
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    row = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    return f"at the {row} {column}".replace("  ", " ").rstrip() if row or column else "in the middle"


def _half_share(size: NDArray[np.floating]) -> float:
    """The least share of the positions that holds half of the evidence."""
    largest_first = np.sort(size.ravel().astype(np.float64))[::-1].cumsum()
    return float((largest_first < largest_first[-1] / 2).sum() + 1) / size.size

"""Where the pixels of a TIFF lie on the earth, kept so that maps of them can be laid over it again.

The tags are those of GeoTIFF 1.1 (OGC 19-008r4): a scale and a tie point, or a matrix, and the keys that name the
reference system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE, TIE_POINT, MATRIX = 33550, 33922, 34264
DIRECTORY, NUMBERS, TEXT = 34735, 34736, 34737
ORIENTATION, NODATA = 274, 42113
RASTER_TYPE, OF_MIDDLES = 1025, 2
"""A key of the directory, and its value PixelIsPoint."""

GEO_TAGS = {SCALE: "d", TIE_POINT: "d", MATRIX: "d", DIRECTORY: "H", NUMBERS: "d", TEXT: "s"}
"""The tags, and the kind of number of each."""


def tiff_origin(tags: Mapping[int, Any]) -> dict[str, Any] | None:
    """The GeoTIFF tags among those of a TIFF, in plain values; None of one that lies nowhere, or is turned."""
    placed = tags.get(MATRIX) is not None or (tags.get(SCALE) is not None and tags.get(TIE_POINT) is not None)
    if not placed or tags.get(ORIENTATION, 1) != 1:
        return None
    kept = {str(number): _plain(tags.get(number), kind) for number, kind in GEO_TAGS.items()}
    return {"format": "GeoTIFF", "tags": {number: value for number, value in kept.items() if value is not None}}


def coarser(origin: Mapping[str, Any] | None, factors: tuple[float, float]) -> Mapping[str, Any] | None:
    """The same of a picture whose pixels are so many times larger, (down, across).

    None of one from another kind of file, unless its pixels stay as they are.
    """
    if origin is None or factors == (1, 1):
        return origin
    if origin["format"] != "GeoTIFF":
        return None
    tags = dict(origin["tags"])
    larger = np.array([factors[1], factors[0], 1.0])
    # Where coordinates are those of the middles of pixels, the first middle moves.
    half = 0.5 * _is_of_middles(tags.get(str(DIRECTORY), ()))
    if (scale := tags.get(str(SCALE))) is not None:
        tags[str(SCALE)] = (larger * scale).tolist()
    if (ties := tags.get(str(TIE_POINT))) is not None:
        points = np.array(ties, np.float64).reshape(-1, 6)
        points[:, :2] = (points[:, :2] + half) / larger[:2] - half
        tags[str(TIE_POINT)] = points.ravel().tolist()
    if (matrix := tags.get(str(MATRIX))) is not None:
        step = np.eye(4)
        step[:3, :3], step[:2, 3] = np.diag(larger), half * (larger[:2] - 1)
        tags[str(MATRIX)] = (np.array(matrix).reshape(4, 4) @ step).ravel().tolist()
    return {**origin, "tags": tags}


def _is_of_middles(directory: Sequence[int]) -> bool:
    """Whether the geographic keys say that a pixel's coordinates are those of its middle, not of its corner."""
    keys = (tuple(directory[at : at + 4]) for at in range(4, len(directory), 4))
    return any(len(key) == 4 and key[0] == RASTER_TYPE and key[3] == OF_MIDDLES for key in keys)


def nodata_notes(tags: Mapping[int, Any], values: NDArray[Any]) -> tuple[str, ...]:
    """How many pixels hold what GDAL's tag says is no value."""
    try:
        nothing = float(str(tags.get(NODATA)).strip("\0 "))
    except ValueError:
        return ()
    share = float(np.mean(values == nothing))
    return (f"{100 * share:.2g} % of the values are {nothing:g}, which the file says is no data",) if share else ()


def _plain(value: Any, kind: str) -> str | list[float] | list[int] | None:
    if value is None:
        return None
    if kind == "s":
        return str(value[0] if isinstance(value, tuple) else value).rstrip("\0")
    numbers = value if isinstance(value, tuple | list) else (value,)
    return [int(x) for x in numbers] if kind == "H" else [float(x) for x in numbers]

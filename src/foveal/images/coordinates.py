"""Where the pixels of a TIFF lie on the earth, kept so that maps of them can be laid over it again.

The tags are those of GeoTIFF 1.1 (OGC 19-008r4): a scale and a tie point, or a matrix, and the keys that name the
reference system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE, TIE_POINT, MATRIX = 33550, 33922, 34264
DIRECTORY, NUMBERS, TEXT = 34735, 34736, 34737
ORIENTATION, NODATA = 274, 42113

GEO_TAGS = {SCALE: "d", TIE_POINT: "d", MATRIX: "d", DIRECTORY: "H", NUMBERS: "d", TEXT: "s"}
"""The tags, and the kind of number of each."""


def tiff_origin(tags: Mapping[int, Any]) -> dict[str, Any] | None:
    """The GeoTIFF tags among those of a TIFF, in plain values; None of one that lies nowhere, or is turned."""
    placed = tags.get(MATRIX) is not None or (tags.get(SCALE) is not None and tags.get(TIE_POINT) is not None)
    if not placed or tags.get(ORIENTATION, 1) != 1:
        return None
    kept = {str(number): _plain(tags.get(number), kind) for number, kind in GEO_TAGS.items()}
    return {"format": "GeoTIFF", "tags": {number: value for number, value in kept.items() if value is not None}}


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

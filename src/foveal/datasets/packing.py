"""Maps as bytes: 16 bits a cell, of the map divided by its largest magnitude, or 32 bits as they are.

Zero, infinite and undefined cells are kept exactly; the others to 0.0005 of the largest.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

from foveal.errors import ResultError

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import ArrayLike, NDArray

Bits: TypeAlias = Literal["float16", "float32"]
DTYPES: Mapping[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}
TENSORS: Mapping[str, torch.dtype] = {"float16": torch.float16, "float32": torch.float32}


def pack(map: ArrayLike, bits: Bits = "float16") -> tuple[bytes, np.float32, tuple[int, ...]]:
    """The cells in rows, little-endian, what to multiply them by, and their shape."""
    cells = np.ascontiguousarray(np.asarray(map), np.float32)
    if bits == "float32":
        return cells.astype(DTYPES[bits]).tobytes(), np.float32(1), cells.shape
    finite = np.abs(cells[np.isfinite(cells)])
    largest = np.float32(finite.max()) if finite.size and finite.max() > 0 else np.float32(1)
    return (cells.astype(np.float64) / np.float64(largest)).astype(DTYPES[bits]).tobytes(), largest, cells.shape


def unpack(
    content: bytes, scale: float, shape: Sequence[int], bits: Bits = "float16"
) -> Float32[NDArray[np.float32], "*space"]:
    """The map. Raises ResultError for bytes of another length."""
    return np.asarray(unpack_rows([content], [scale], shape, bits)[0])


def unpack_rows(
    contents: Collection[bytes], scales: ArrayLike, shape: Sequence[int], bits: Bits = "float16"
) -> Float32[NDArray[np.float32], " n *space"]:
    """Maps of one shape at once. Raises ResultError for bytes of another length."""
    kind = DTYPES[bits]
    size = kind.itemsize * math.prod(shape)
    if other := [len(content) for content in contents if len(content) != size]:
        raise ResultError(f"A map of shape {tuple(shape)} has {other[0]} bytes: the file was changed.")
    values = torch.frombuffer(bytearray().join(contents), dtype=TENSORS[bits]).view(len(contents), -1)
    # A product of two such numbers is rounded once, as if it were taken in double precision.
    scaled = values.float() * torch.from_numpy(np.array(scales, np.float32))[:, None]
    return np.asarray(scaled.view(len(contents), *shape))

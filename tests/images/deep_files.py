"""Files of 16-bit pictures, written byte by byte as their standards say, which Pillow does not do for colors."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def png(pixels: NDArray[Any], *, sbit: int | None = None) -> bytes:
    """A PNG of (h, w, c) uint16 pixels."""
    h, w, c = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, COLOR_TYPES[c], 0, 0, 0))]
    chunks += [(b"sBIT", bytes([sbit] * c))] if sbit else []
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def tiff(
    pixels: NDArray[Any],
    *,
    order: str = "<",
    planar: bool = False,
    tags: Mapping[int, tuple[str, float]] | None = None,
    photometric: int | None = None,
    extra: int | None = None,
) -> bytes:
    """An uncompressed TIFF of (h, w, c) pixels; `tags` are further ones, number -> (struct letter, value)."""
    h, w, c = pixels.shape
    kinds = {"u": 1, "i": 2, "f": 3}
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    planes = [np.ascontiguousarray(stored[..., k]).tobytes() for k in range(c)] if planar else [stored.tobytes()]
    size = len(planes[0])
    fields: dict[int, tuple[str, list[float]]] = {
        256: ("H", [w]), 257: ("H", [h]), 258: ("H", [8 * pixels.itemsize] * c), 259: ("H", [1]),
        262: ("H", [(2 if c > 2 else 1) if photometric is None else photometric]),
        273: ("I", [8 + k * size for k in range(len(planes))]), 277: ("H", [c]), 278: ("H", [h]),
        279: ("I", [size] * len(planes)), 284: ("H", [2 if planar else 1]), 339: ("H", [kinds[pixels.dtype.kind]] * c),
    }  # fmt: skip
    if extra is not None:
        fields[338] = ("H", [extra])
    fields |= {number: (letter, [value]) for number, (letter, value) in (tags or {}).items()}
    return _packed(fields, b"".join(planes), order)


def sgi(pixels: NDArray[Any]) -> bytes:
    """An uncompressed SGI picture of two bytes a channel."""
    h, w, c = pixels.shape
    head = struct.pack(">HBBHHHHII", 474, 0, 2, 3, w, h, c, 0, 65535).ljust(512, b"\0")
    return head + b"".join(pixels[::-1, :, k].astype(">u2").tobytes() for k in range(c))


def _packed(fields: Mapping[int, tuple[str, list[float]]], content: bytes, order: str) -> bytes:
    types = {"H": 3, "I": 4, "f": 11, "d": 12, "h": 8}
    start = 8 + len(content)
    later = start + 2 + 12 * len(fields) + 4
    entries, beyond = b"", b""
    for number, (letter, values) in sorted(fields.items()):
        data = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(data) > 4:
            place = struct.pack(f"{order}I", later + len(beyond))
            beyond += data
        else:
            place = data.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", number, types[letter], len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + content + struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + beyond

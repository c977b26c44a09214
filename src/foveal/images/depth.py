"""Pictures of more than 8 bits a channel: all of their samples, and which sample is white.

Cameras for X-rays, heat and microscopes store 12 bits in files of 16; taken for 16, white becomes dark gray. What a
file declares is believed. Where it declares nothing, the usual range is assumed, and a note says how little is filled;
of a range of 16 bits that is filled by a sixteenth or less, it is asked what is white.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from foveal.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from jaxtyping import Float32
    from numpy.typing import NDArray

    Reopen: TypeAlias = Callable[[], Image.Image]

FILLED = 0.5
"""A picture that spans less of its range than this may have been meant for another one."""

DARK = 4096
"""Whole numbers below, where 65535 would be white, are more likely of 12 bits or fewer."""

FLAT = 0.1
"""The same of a range that is declared: a picture may be dark, but hardly so flat."""

BITS, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0
TIFF_RANGES = {"SMaxSampleValue": (340, 341), "MaxSampleValue": (280, 281)}


@dataclass(frozen=True)
class Range:
    """The samples that mean black and white, and who says so."""

    black: float
    white: float
    declared: str = ""

    @property
    def span(self) -> float:
        """How far black and white are apart."""
        return abs(self.white - self.black)


BYTES = (255, 65535)
"""What white is in whole numbers of 8 and of 16 bits, which programs also write as reals."""


def usual_range(values: NDArray[Any]) -> Range:
    """What samples mostly mean: reals 0 to 1, uint16 and whole numbers above 255 to 65535, other ones to 255."""
    if values.dtype.kind in "fb":
        return Range(0, 1)
    sixteen = values.dtype.kind == "u" and values.dtype.itemsize == 2
    return Range(0, 65535 if sixteen or values.max() > 255 else 255)


def likely_white(values: NDArray[Any], meant: Range) -> int | None:
    """The largest number of as many bits as the samples have, where the usual white would leave them all but black."""
    high = values.max()
    doubtful = not meant.declared and meant.white == BYTES[1] and 0 < high < DARK and values.min() >= 0
    return _most_of(int(high)) if doubtful else None


def _most_of(value: int) -> int:
    """The largest whole number of as many bits, at least 8."""
    return int(max(BYTES[0], 2 ** value.bit_length() - 1))


def range_of(image: Image.Image, values: NDArray[Any], head: bytes) -> Range:
    """What the file says of its samples, by a TIFF's tags or a PNG's significant bits; else the usual.

    Args:
        head: the first bytes of the file.
    """
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        return tiff_range(tags, values)
    declared = _png_range(head, values) if image.format == "PNG" else None
    return declared or usual_range(values)


def tiff_range(tags: Mapping[int, Any], values: NDArray[Any]) -> Range:
    """The range that a TIFF's tags, by their numbers, declare; else the usual."""
    return _tiff_range(tags) or _real_range(values) or usual_range(values)


def is_inverted(tags: Mapping[int, Any] | None) -> bool:
    """Whether zero is white in a TIFF."""
    return tags is not None and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO


def _real_range(values: NDArray[Any]) -> Range | None:
    """Of a file of real numbers without a word on its range: that of whole numbers, where these fill more than half."""
    if values.dtype.kind != "f" or not values.min() >= 0:
        return None
    white = next((white for white in BYTES if FILLED * white < values.max() <= white), None)
    return Range(0, white, "the greatest value") if white else None


def unit(values: NDArray[Any], meant: Range, *, bounded: bool = True) -> Float32[NDArray[np.float32], ...]:
    """Samples as 0 for black to 1 for white; others beyond where these are no bounds.

    Raises:
        ImageError: for samples beyond these bounds, or that are no numbers.
    """
    low, high = float(values.min()), float(values.max())
    least, most = sorted((meant.black, meant.white))
    if bounded and not (low >= least and high <= most):  # also false for NaN
        by = f", as {meant.declared} says" if meant.declared else ""
        raise ImageError(
            f"pixels of type {values.dtype} must lie in {least:g}..{most:g}{by}, but these span {low:g} to {high:g}"
            f"{_remedy(values, low, high, declared=bool(meant.declared))}."
        )
    return np.asarray((values.astype(np.float32) - meant.black) / (meant.white - meant.black), np.float32)


def _remedy(values: NDArray[Any], low: float, high: float, *, declared: bool) -> str:
    """What to do with pixels beyond their range."""
    if declared or not np.isfinite([low, high]).all():
        return ""
    said = f"declare what is black and white, such as range=({low:g}, {high:g}) in the preprocessing"
    if values.dtype.kind != "f":
        return f": {said}"
    white = next((white for white in BYTES if low >= 0 and FILLED * white < high <= white), None)
    black = f"(pixels {'-' if low > 0 else '+'} {abs(low):g})" if low else "pixels"
    divided = f"divide them by {white}" if white else f"pass {black} / {high - low:g}, with black at 0 and white at 1"
    return f": {divided}, or {said}"


def range_notes(values: NDArray[Any], meant: Range) -> tuple[str, ...]:
    """What a reader must know of the range: where it is from, or that the picture does not fill it."""
    low, high = float(values.min()), float(values.max())
    if meant.declared:
        least, most = sorted((meant.black, meant.white))
        filled = max(0.0, min(high, most) - max(low, least)) / meant.span
        usual = usual_range(values)
        if filled >= FLAT and (meant.black, meant.white) == (usual.black, usual.white):
            return ()
        flat = f"; the pixels span {low:g} to {high:g}, {100 * filled:.2g} % of it" if filled < FLAT else ""
        return (f"black is {meant.black:g} and white {meant.white:g}, as {meant.declared} says{flat}",)
    if values.dtype == np.uint8 or values.dtype.kind == "b" or high - low >= FILLED * meant.span:
        return ()
    remedy = "scale it to floats with black at 0 and white at 1"
    if meant.white == BYTES[1] and (guess := _most_of(int(high))) < meant.white:
        remedy = f"declare range=(0, {guess}) in the preprocessing (or in the file: TIFF SMaxSampleValue, PNG sBIT)"
    kind = f"{values.dtype.itemsize * 8}-bit" if values.dtype.kind in "iu" else str(values.dtype)
    least, most = sorted((meant.black, meant.white))
    spans = f"{kind} pixels span {low:g} to {high:g} of {least:g} to {most:g}"
    return (f"{spans}: if the image should not be so flat, {remedy}",)


def fits_8_bits(values: Float32[NDArray[np.float32], ...]) -> bool:
    """Whether 8 bits hold these values, 0 … 1, without loss."""
    scaled = values * 255
    return bool((np.abs(scaled - np.round(scaled)) < 1e-4).all())


def is_deep(image: Image.Image) -> bool:
    """Whether an opened picture has more than 8 bits a channel, as far as Pillow tells before it is loaded."""
    return image.mode.startswith("I") or image.mode == "F" or any(";16" in order for order in _orders(image))


def deep_samples(image: Image.Image, reopened: Reopen | None) -> NDArray[Any] | None:
    """The upright samples (H, W) or (H, W, c) of a deep picture, all of their bits; None where they are out of reach.

    Pillow keeps the high byte of each 16-bit color. The low byte comes from reading the file a second time as if its
    bytes lay in the other order.

    Args:
        reopened: opens the picture once more.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return np.asarray(ImageOps.exif_transpose(image))
    if reopened is None or image.format not in ("PNG", "TIFF") or image.mode not in ("RGB", "RGBA"):
        return None
    if _orders(image)[0] == "LA;16B":  # four bytes, as if each were a color
        four = _read_as(reopened(), lambda order: "RGBA").astype(np.uint16)
        return four[..., 0::2] * np.uint16(256) + four[..., 1::2]
    high = _read_as(reopened(), lambda order: order.replace("RGBa", "RGBA")).astype(np.uint16)
    low = _read_as(reopened(), lambda order: _other_order(order.replace("RGBa", "RGBA")))
    values: NDArray[Any] = high * np.uint16(256) + low
    return _straight(values) if _orders(image)[0].startswith("RGBa") else values


def is_cut(image: Image.Image, head: bytes) -> bool:
    """Whether Pillow, which has colors of 8 bits only, drops the rest of what an opened picture's file holds."""
    tile = next(iter(getattr(image, "tile", None) or []), None)
    if tile is None or image.mode.startswith("I") or image.mode == "F":
        return False
    codec, arguments = tile[0], tile[3]
    if codec.startswith("ppm"):
        return isinstance(arguments, tuple) and arguments[1] > 255
    if codec.startswith("jpeg2k"):
        return _jpeg2000_bits(head) > 8
    return (
        codec == "SGI16"
        or (codec == "sgi_rle" and arguments[2] == 2)
        or any(";16" in order for order in _orders(image))
    )


def _orders(image: Image.Image) -> list[str]:
    """How the bytes of each tile of a picture that is not loaded yet lie in its file, in Pillow's words: "RGB;16B"."""
    arguments = [tile[3] for tile in getattr(image, "tile", None) or []]
    first = [argument[0] if isinstance(argument, tuple) and argument else argument for argument in arguments]
    orders = [order for order in first if isinstance(order, str)]
    tags = getattr(image, "tag_v2", None)
    if tags is not None and max(_numbers(tags.get(BITS)), default=8) == 16:
        # Of planes that lie one after another Pillow forgets that they have 16 bits.
        end = "L" if tags.prefix == b"II" else "B"
        orders = [f"{order};16{end}" if len(order) == 1 and order in "RGBA" else order for order in orders]
    return orders


def _read_as(image: Image.Image, changed: Callable[[str], str]) -> NDArray[np.uint8]:
    """The upright bytes of a picture that is not loaded yet, read in another order than it says."""
    with image:
        tiles: Any = image.tile  # type: ignore[attr-defined]
        orders = [changed(order) for order in _orders(image)]
        image.tile = [_ordered(tile, order) for tile, order in zip(tiles, orders, strict=True)]  # type: ignore[attr-defined]
        return np.asarray(ImageOps.exif_transpose(image))


def _ordered(tile: Any, order: str) -> Any:
    arguments = (order, *tile[3][1:]) if isinstance(tile[3], tuple) else order
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _other_order(order: str) -> str:
    native = "L" if sys.byteorder == "little" else "B"
    return order[:-1] + {"B": "L", "L": "B"}.get(order[-1], "B" if native == "L" else "L")


def _straight(values: NDArray[Any]) -> NDArray[Any]:
    """Colors that were multiplied by their opacity, divided by it again."""
    opacity = values[..., 3:].astype(np.float64) / 65535
    colors = np.round(values[..., :3] / np.where(opacity > 0, opacity, 1)).clip(0, 65535)
    return np.concatenate([colors.astype(values.dtype), values[..., 3:]], 2)


def _tiff_range(tags: Any) -> Range | None:
    """Its own range of samples, else its bits where they are fewer than 16."""
    for name, (least, most) in TIFF_RANGES.items():
        white = max(_numbers(tags.get(most)), default=0.0)
        black = min(_numbers(tags.get(least)), default=0.0)
        if white > black:
            return Range(black, white, f"the file's {name}")
    bits = int(max(_numbers(tags.get(BITS)), default=16))
    return Range(0, 2**bits - 1, f"the file's BitsPerSample of {bits}") if 8 < bits < 16 else None


def _png_range(head: bytes, values: NDArray[Any]) -> Range | None:
    """Samples of few bits are scaled up to 16 in a PNG, says its standard; many programs write them as they are."""
    bits = _significant_bits(head)
    if bits is None or bits <= 8:
        return None
    most = 2**bits - 1
    scaled = int(values.max()) > most or not bool((values & (2 ** (16 - bits) - 1)).any())
    return Range(0, BYTES[1] if scaled else most, f"the file's sBIT of {bits}")


def _significant_bits(start: bytes) -> int | None:
    """The most that a PNG's sBIT chunk grants a channel; None where it has no such chunk."""
    at = 8
    while at + 8 <= len(start):
        length, name = struct.unpack(">I4s", start[at : at + 8])
        if name == b"sBIT":
            return max(start[at + 8 : at + 8 + length], default=None)
        if name == b"IDAT":
            break
        at += 12 + length
    return None


def _jpeg2000_bits(start: bytes) -> int:
    """Of the first channel, in the SIZ segment."""
    _, _, segment = start.partition(b"\xff\x4f\xff\x51")
    return (segment[38] & 0x7F) + 1 if len(segment) > 38 else 8


def _numbers(tag: Any) -> list[float]:
    each = tag if isinstance(tag, tuple | list) else () if tag is None else (tag,)
    numbers = [float(value) for value in each if not isinstance(value, str | bytes)]
    return [value for value in numbers if abs(value) < 1e30]

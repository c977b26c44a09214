"""Any picture, from any file, as upright RGB."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from foveal.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# What Pillow's decoders raise on damaged files: found by damaging files of every common format.
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, RuntimeError, EOFError, struct.error, zlib.error)


@dataclass(frozen=True)
class Decoded:
    """An upright RGB picture, and what had to be decided to get it."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def decode_file(path: Path) -> Decoded:
    """The picture in a file: turned upright, first frame, over white where transparent."""
    if path.is_dir():
        raise ImageError(f"Cannot read {str(path)!r} as a picture: it is a folder; pass its files as a list.")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            # Phones make pictures beyond Pillow's warning; its error, at twice that, stays.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                decoded = decode_image(image)
        return replace(decoded, notes=decoded.notes + tuple(f"Pillow: {w.message}".strip() for w in said))
    except FileNotFoundError as error:
        raise ImageError(f"Cannot read {str(path)!r}: there is no such file.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"Cannot read {str(path)!r}: it is no picture that Pillow knows.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"Cannot read {str(path)!r}: it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; "
            "shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
        ) from error
    except ImageError as error:
        raise ImageError(f"Cannot read {str(path)!r}: {error}") from error
    except DAMAGE as error:
        why = getattr(error, "strerror", None) or f"the picture is damaged ({error})"
        raise ImageError(f"Cannot read {str(path)!r}: {why}.") from error


def decode_image(image: Image.Image) -> Decoded:
    """A PIL picture of any mode as upright RGB."""
    notes = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        image.seek(0)
        notes.append(f"first of {frames} frames")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I") or upright.mode == "F":
        return Decoded(Image.fromarray(deep_pixels(np.asarray(upright))).convert("RGB"), tuple(notes))
    if not upright.has_transparency_data:
        return Decoded(upright.convert("RGB"), tuple(notes))
    layered = upright.convert("RGBA")
    if layered.getchannel("A").getextrema() != (255, 255):
        notes.append("transparent parts shown over white")
    return Decoded(over_white(layered), tuple(notes))


def over_white(layered: Image.Image) -> Image.Image:
    """What an RGBA picture looks like on a white page."""
    page = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(page, layered).convert("RGB")


def deep_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels of more than 8 bits, or real ones, as 8 bits; the range is read off the kind of number.

    uint16 and whole numbers above 255: 0..65535. Real numbers: 0..1. Other whole numbers: 0..255.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    low, high = float(values.min()), float(values.max())
    deep = values.dtype == np.uint16 or high > 255
    white = 1.0 if values.dtype.kind == "f" else 65535.0 if deep else 255.0
    if not (low >= 0 and high <= white):  # also false for NaN
        raise ImageError(f"pixels of type {values.dtype} must lie in 0..{white:g}, but these span {low:g} to {high:g}.")
    return np.round(values.astype(np.float64) * (255 / white)).astype(np.uint8)

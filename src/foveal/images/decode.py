"""Any picture, from any file, as upright RGB."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from foveal.errors import ImageError
from foveal.images.depth import deep_samples, fits_8_bits, is_cut, is_deep, range_notes, range_of, unit, usual_range
from foveal.storage.reading import DAMAGE, opened, reason

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from jaxtyping import Float32
    from numpy.typing import NDArray

    from foveal.images.depth import Range, Reopen

LARGEST = 2**31
"""No file of a picture that Pillow would open is larger."""


@dataclass(frozen=True)
class Decoded:
    """An upright RGB picture, and what had to be decided to get it.

    Attributes:
        image: 8 bits a channel, to look at.
        deep: (H, W, 1 or 3), 0 to 1, the same at full depth; None where 8 bits say it all.
    """

    image: Image.Image
    notes: tuple[str, ...] = ()
    deep: Float32[NDArray[np.float32], "H W c"] | None = None

    @property
    def source(self) -> Image.Image | Float32[NDArray[np.float32], "H W c"]:
        """What the network's input is made of."""
        return self.image if self.deep is None else self.deep


def decode_file(path: Path) -> Decoded:
    """The picture in a file: turned upright, first frame, over white where transparent."""
    try:
        if path.is_dir():
            raise ImageError("it is a folder; pass its files as a list.")
        with opened(path, most=LARGEST) as file, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            # Phones make pictures beyond Pillow's warning; its error, at twice that, stays.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                decoded = decode_image(image, path, lambda: _from_start(file))
        warnings_once = dict.fromkeys(f"Pillow: {w.message}".strip() for w in warned)
        return replace(decoded, notes=(*decoded.notes, *warnings_once))
    except FileNotFoundError as error:
        raise ImageError(f"Cannot read {str(path)!r}: there is no such file.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"Cannot read {str(path)!r}: Pillow cannot read this image format.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"Cannot read {str(path)!r}: it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; "
            "shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
        ) from error
    except ImageError as error:
        raise ImageError(f"Cannot read {str(path)!r}: {error}") from error
    except DAMAGE as error:
        system = error.strerror if isinstance(error, OSError) else None
        why = system or f"the image is damaged ({reason(error)})"
        raise ImageError(f"Cannot read {str(path)!r}: {why}.") from error


def decode_image(image: Image.Image, path: Path | None = None, reopened: Reopen | None = None) -> Decoded:
    """A PIL picture of any mode as upright RGB.

    Args:
        path: the file it was opened from.
        reopened: opens it once more, for samples that Pillow cuts to 8 bits.
    """
    notes = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        image.seek(0)
        notes.append(f"first of {frames} frames")
    if 0 in image.size:
        raise ImageError(f"an image of {image.width}×{image.height} has no pixels.")
    if is_deep(image):
        if image.format == "FITS":
            raise ImageError("a FITS file does not say which value is white: pass floats in 0..1.")
        samples = deep_samples(image, reopened)
        if samples is not None:
            return _seen(samples, range_of(image, samples, path), tuple(notes), image.info.get("transparency"))
    if is_cut(image, path):
        notes.append("its colors have more than 8 bits and were read at 8: pass them as floats in 0..1 to use all")
    upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return Decoded(upright.convert("RGB"), tuple(notes))
    layered = upright.convert("RGBA")
    if layered.getchannel("A").getextrema() != (255, 255):
        notes.append("transparent parts shown over white")
    return Decoded(over_white(layered), tuple(notes))


def decode_array(array: NDArray[Any]) -> Decoded:
    """Pixels as numpy, OpenCV or imageio give them, (H, W) or (H, W, 1..4), as upright RGB."""
    pixels = np.ascontiguousarray(array.squeeze(2) if array.shape[2:] == (1,) else array)
    if pixels.dtype == np.uint8 or pixels.dtype == np.bool_:
        return decode_image(Image.fromarray(deep_pixels(pixels)))
    return _seen(pixels, usual_range(pixels), ())


def over_white(layered: Image.Image) -> Image.Image:
    """What an RGBA picture looks like on a white page."""
    page = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(page, layered).convert("RGB")


def deep_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels of any kind of number as 8 bits, by the range that this kind usually has."""
    return values if values.dtype == np.uint8 else _bytes(unit(values, usual_range(values)))


def _seen(samples: NDArray[Any], meant: Range, notes: tuple[str, ...], clear: object = None) -> Decoded:
    """Samples as a picture; `clear` is the color that stands for transparency, where one does."""
    opaque = samples.ndim == 2 or samples.shape[2] in (1, 3)
    colors = samples if opaque else samples[..., :-1]
    light, opacity = unit(colors, meant), _opacity(samples, meant, opaque, clear)
    notes = (*notes, *range_notes(colors, meant))
    if opacity is not None and bool((opacity < 1).any()):
        notes = (*notes, "transparent parts shown over white")
    if fits_8_bits(light) and (opacity is None or fits_8_bits(opacity)):
        layers = light if opacity is None else np.concatenate([light.reshape(*opacity.shape[:2], -1), opacity], 2)
        flat = _bytes(layers)
        return Decoded(decode_image(Image.fromarray(flat[..., 0] if flat.shape[2:] == (1,) else flat)).image, notes)
    light = light.reshape(*light.shape[:2], -1)
    light = light if opacity is None else light * opacity + (1 - opacity)
    return Decoded(Image.fromarray(np.broadcast_to(_bytes(light), (*light.shape[:2], 3)).copy()), notes, light)


def _opacity(samples: NDArray[Any], meant: Range, opaque: bool, clear: object) -> NDArray[np.float32] | None:
    """(H, W, 1), 0 where a picture is transparent to 1; None where nothing says so."""
    if not opaque:
        alpha = samples[..., -1:]
        most = max(meant.black, meant.white)
        return unit(alpha, replace(meant, black=0, white=most) if alpha.max() <= most else usual_range(alpha))
    if isinstance(clear, int | tuple):
        key = np.broadcast_to(np.asarray(clear), samples.shape[2:] or (1,))
        return np.asarray((samples.reshape(*samples.shape[:2], -1) != key).any(2, keepdims=True), np.float32)
    return None


def _bytes(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(light * 255).astype(np.uint8)


def _from_start(file: BinaryIO) -> Image.Image:
    file.seek(0)
    return Image.open(file)

"""Any picture, from any file, as upright RGB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from foveal.errors import ImageError
from foveal.images.bounds import check_pixels
from foveal.images.coordinates import tiff_origin
from foveal.images.depth import deep_samples, is_cut, is_deep, is_inverted, range_of
from foveal.images.formats import READERS, TIFF, UNAIDED, reader_of
from foveal.images.samples import Decoded, Samples, deep_pixels, over_white, picture_of
from foveal.images.selection import AS_IT_IS, Selection
from foveal.images.warned import warned
from foveal.storage.reading import DAMAGE, opened, reason

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

    from foveal.images.depth import Reopen

LARGEST = 2**31
"""No file of a picture that Pillow would open is larger."""


def decode_file(path: Path, selection: Selection = AS_IT_IS) -> Decoded:
    """The picture in a file: turned upright, first frame, over white where transparent.

    Raises:
        ImageError: for what cannot be read, with what to do.
        MissingExtra: where the library for a kind of file is not installed.
    """
    with _failing(str(path)):
        if path.is_dir():
            raise ImageError("it is a folder; pass its files as a list.")
        with opened(path, most=LARGEST) as file:
            return decode_stream(file, path, selection)


def decode_named(file: BinaryIO, name: str, selection: Selection = AS_IT_IS) -> Decoded:
    """The picture in an open file, as `decode_file` reads one of this name. Raises as it does."""
    with _failing(name):
        return decode_stream(file, Path(name), selection)


@contextmanager
def _failing(name: str) -> Iterator[None]:
    """What keeps a picture from being read, in a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise ImageError(f"Cannot read {name!r}: there is no such file.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"Cannot read {name!r}: Pillow cannot read this image format.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"Cannot read {name!r}: it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; "
            "shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
        ) from error
    except ImageError as error:
        raise ImageError(f"Cannot read {name!r}: {error}") from error
    except DAMAGE as error:
        system = error.strerror if isinstance(error, OSError) else None
        why = system or f"the image is damaged ({reason(error)})"
        raise ImageError(f"Cannot read {name!r}: {why}.") from error


def decode_upload(file: BinaryIO, selection: Selection = AS_IT_IS) -> Decoded:
    """The picture in an open file that a stranger sent: Pillow reads only what it reads by itself.

    Raises:
        ImageError: for what cannot be read.
        MissingExtra: as `decode_file`.
    """
    try:
        return decode_stream(file, None, selection, UNAIDED)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        kinds = ", ".join([*UNAIDED, *(reader.kind for reader in READERS if reader is not TIFF)])
        raise ImageError(f"it is none of {kinds}.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels: make it smaller.") from error
    except DAMAGE as error:
        raise ImageError(f"it is damaged ({reason(error)}).") from error


def decode_stream(
    file: BinaryIO, path: Path | None, selection: Selection = AS_IT_IS, formats: tuple[str, ...] | None = None
) -> Decoded:
    """The picture in an open file; whatever its reader raises on damage comes through.

    Args:
        path: where the file lies, if anywhere.
        formats: those that Pillow may read; None for all.
    """
    with warned() as messages:
        reader = reader_of(file, path, selection)
        if reader:
            decoded = picture_of(reader.read(file, selection), selection)
        else:
            head = _head(file)
            with Image.open(file, formats=formats) as image:
                decoded = decode_image(image, head, lambda: _from_start(file, formats), selection)
    library = reader.library if reader else "Pillow"
    warnings_once = dict.fromkeys(f"{library}: {message}".strip() for message in messages)
    return replace(decoded, notes=(*decoded.notes, *(" ".join(note.split()) for note in warnings_once)))


def decode_image(
    image: Image.Image,
    head: bytes = b"",
    reopened: Reopen | None = None,
    selection: Selection = AS_IT_IS,
) -> Decoded:
    """A PIL picture of any mode as upright RGB.

    Args:
        head: the first bytes of the file it was opened from.
        reopened: opens it once more, for samples that Pillow cuts to 8 bits.
        selection: which frame, and what is black and white.
    """
    notes: tuple[str, ...] = ()
    frames = getattr(image, "n_frames", 1)
    if frames > 1 or selection.frame:
        frame, notes = selection.frame_of(frames)
        image.seek(frame)
        reopened = _at(reopened, frame)
    if 0 in image.size:
        raise ImageError(f"an image of {image.width}×{image.height} has no pixels.")
    check_pixels(image.height, image.width)
    tags = getattr(image, "tag_v2", None)
    origin = tiff_origin(tags) if tags is not None else None
    if is_deep(image):
        if image.format == "FITS" and selection.range is None:
            raise ImageError(
                "a FITS file does not say which values are black and white: declare them, as range=(0, 65535) in the "
                "preprocessing (in Python you can also pass an array of reals in 0..1)."
            )
        values = deep_samples(image, reopened)
        if values is not None:
            meant = range_of(image, values, head)
            clear = image.info.get("transparency")
            samples = Samples(values, meant, notes, is_inverted(tags), clear=clear, origin=origin)
            return picture_of(samples, selection)
    if is_cut(image, head):
        notes = (*notes, "its colors have more than 8 bits and were read at 8: pass them as floats in 0..1 to use all")
    upright = ImageOps.exif_transpose(image)
    if selection.bands is not None or selection.range is not None:
        plain = upright.convert("RGB" if upright.mode not in ("L", "RGB", "RGBA") else upright.mode)
        return picture_of(Samples(np.asarray(plain), notes=notes, origin=origin), selection)
    if not upright.has_transparency_data:
        return Decoded(upright.convert("RGB"), notes, origin=origin)
    layered = upright.convert("RGBA")
    if layered.getchannel("A").getextrema() != (255, 255):
        notes = (*notes, "transparent parts shown over white")
    return Decoded(over_white(layered), notes, origin=origin)


def decode_array(array: NDArray[Any], selection: Selection = AS_IT_IS) -> Decoded:
    """Pixels as numpy, OpenCV or imageio give them, (H, W) or (H, W, c), as upright RGB."""
    pixels = np.ascontiguousarray(array.squeeze(2) if array.shape[2:] == (1,) else array)
    plain = selection.bands is None and selection.range is None and pixels.shape[2:] <= (4,)
    if plain and pixels.dtype in (np.uint8, np.bool_):
        return decode_image(Image.fromarray(deep_pixels(pixels)))
    return picture_of(Samples(pixels), selection)


def _at(reopened: Reopen | None, frame: int) -> Reopen | None:
    """The same, at a frame."""
    if reopened is None or not frame:
        return reopened

    def at_frame() -> Image.Image:
        image = reopened()
        image.seek(frame)
        return image

    return at_frame


def _from_start(file: BinaryIO, formats: tuple[str, ...] | None) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=formats)


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(65536)
    file.seek(0)
    return head

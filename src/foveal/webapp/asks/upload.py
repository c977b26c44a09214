"""Add a photo from the page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from foveal.errors import ImageError, printable
from foveal.webapp.asks.library import photo_entry

if TYPE_CHECKING:
    from foveal.report.answers.library import PhotoEntry
    from foveal.webapp.studio import Studio

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 64_000_000


def uploaded(studio: Studio, data: bytes, name: str) -> PhotoEntry:
    """The photo, decoded; nothing is written to disk.

    Raises:
        ImageError: for what is no image, or has too many pixels.
    """
    from PIL import Image, UnidentifiedImageError

    name = printable(name)[:200] or "photo"
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ImageError(
                    f"{name} has {picture.width}×{picture.height} pixels, more than the {MOST_PIXELS:,} that the "
                    "studio takes: make it smaller"
                )
            picture.load()
            return photo_entry(studio.photos.add(picture, name, uploaded=True, source=repr(name)))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{name} could not be read: {error}; choose another") from error

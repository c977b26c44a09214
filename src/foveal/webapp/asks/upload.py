"""Add a photo from the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from foveal.errors import ImageError, printable
from foveal.storage.reading import DAMAGE, reason
from foveal.webapp.asks.library import photo_entry
from foveal.webapp.photos import FORMATS, opened

if TYPE_CHECKING:
    from foveal.report.answers.library import PhotoEntry
    from foveal.webapp.studio import Studio

MOST_PIXELS = 64_000_000


def uploaded(studio: Studio, data: bytes, name: str) -> PhotoEntry:
    """The photo in the bytes of a file; nothing is written to disk.

    Raises:
        ImageError: for what is no image, or has too many pixels.
    """
    name = printable(name)[:200] or "photo"
    too_large = ImageError(f"{name} has more than the {MOST_PIXELS:,} pixels that the studio takes: make it smaller")
    try:
        with opened(data) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise too_large
            picture.load()
            return photo_entry(studio.photos.add(picture, name, data=data, source=repr(f"path/to/{name}")))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is no image that the studio reads: choose one of {', '.join(FORMATS)}") from error
    except DAMAGE as error:
        raise ImageError(f"{name} could not be read: {reason(error)}; choose another") from error

"""Add a photo from the page."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from foveal.errors import ImageError, printable
from foveal.images.bounds import at_most
from foveal.webapp.asks.library import photo_entry

if TYPE_CHECKING:
    from foveal.report.answers.library import PhotoEntry
    from foveal.webapp.studio import Studio

MOST_PIXELS = 64_000_000


def uploaded(studio: Studio, data: bytes, name: str) -> PhotoEntry:
    """The photo in the bytes of a file; nothing is written to disk.

    Raises:
        ImageError: for what is no image, or has too many pixels.
        MissingExtra: for a kind of file whose library is not installed.
    """
    name = printable(name)[:200] or "photo"
    try:
        with at_most(MOST_PIXELS):
            return photo_entry(studio.photos.add(BytesIO(data), name, data=data, source=repr(f"path/to/{name}")))
    except ImageError as error:
        raise ImageError(f"The studio cannot read {name}: {error}") from error

"""Images of one size side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image


def contact_sheet(pictures: Sequence[Image], *, columns: int = 6) -> Image:
    """All of them on white, a few to a row."""
    from PIL import Image

    columns = min(len(pictures), columns)
    w, h = pictures[0].size
    sheet = Image.new("RGB", (columns * w, -(-len(pictures) // columns) * h), "white")
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * w, number // columns * h))
    return sheet

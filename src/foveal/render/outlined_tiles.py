"""The overlay of a large picture with the outlines of some tiles and their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ImageDraw

from foveal.render.overlay import INK, PAPER
from foveal.render.text import length, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

SIZE = 13.0  # of the type


def outlined_tiles(
    overlay: Image.Image,
    picture: tuple[int, int],
    side: int,
    boxes: Sequence[tuple[int, int, int, int]],
    words: Sequence[str],
) -> Image.Image:
    """A copy of the overlay, whose upper left part shows the picture.

    Args:
        picture: (H, W) in pixels.
        side: long side of the shown picture.
        boxes: (x0, y0, x1, y1) in pixels of the picture; the first is drawn last, on top.
        words: what stands in the corner of each.
    """
    shown, ratio = overlay.copy(), side / max(picture)
    draw = ImageDraw.Draw(shown)
    high, wide = (round(length * ratio) - 1 for length in picture)
    for (x0, y0, x1, y1), text in reversed([*zip(boxes, words, strict=True)]):
        corners = (x0 * ratio, y0 * ratio, min(x1 * ratio, wide), min(y1 * ratio, high))
        draw.rectangle(corners, outline=PAPER, width=3)
        draw.rectangle(corners, outline=INK, width=1)
        if text:
            left, top = corners[0], max(0.0, corners[1] - SIZE - 3)
            left = min(left, wide - length(text, SIZE) - 6)
            draw.rectangle((left, top, left + length(text, SIZE) + 5, top + SIZE + 3), fill=PAPER)
            write(draw, (left + 3, top + 1), text, SIZE, ink=INK)
    return shown

"""Lines with smooth edges."""

from __future__ import annotations

from math import ceil, floor, hypot

from PIL import Image, ImageDraw

FINER = 4  # times as many pixels as are drawn


def smooth_line(
    page: Image.Image, start: tuple[float, float], stop: tuple[float, float], color: tuple[int, int, int], width: float
) -> None:
    """A line of any width, drawn several times as large and made smaller."""
    width = max(1.0, width)
    left, top = floor(min(start[0], stop[0]) - width), floor(min(start[1], stop[1]) - width)
    right, bottom = ceil(max(start[0], stop[0]) + width), ceil(max(start[1], stop[1]) + width)
    size = (right - left + 1, bottom - top + 1)
    veil = Image.new("L", (size[0] * FINER, size[1] * FINER), 0)
    (x0, y0), (x1, y1) = (((x - left) * FINER, (y - top) * FINER) for x, y in (start, stop))
    long = hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = -(y1 - y0) / long * width * FINER / 2, (x1 - x0) / long * width * FINER / 2
    ImageDraw.Draw(veil).polygon(
        ((x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)), fill=255
    )
    page.paste(color, (left, top), veil.resize(size, Image.Resampling.BOX))

"""Tiles of one width in rows, each with a heading above and, below its map, a bar with the unit in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.render.figures import MUTED, paragraph, stacked
from foveal.render.overlay import INK, PAPER, draw_overlay, resized
from foveal.render.scale import Scale, choose_scale, number
from foveal.render.text import length, write

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Photo, Place

LINE = 1.35  # line height, in sizes of the type


@dataclass(frozen=True)
class GridTile:
    """An image under one or two lines of words; without a picture, a gap."""

    picture: Image.Image | None = None
    heading: str = ""
    detail: str = ""


def map_tile(
    photo: Photo, map: NDArray[np.floating], place: Place | None, *, side: int, unit: str = "",
    scale: Scale | None = None,
) -> Image.Image:  # fmt: skip
    """The map on its photo, and below it the bar of its own scale, or of the scale that it shares with others."""
    scale = scale or choose_scale(map)
    drawn = draw_overlay(photo, map, place=place, sign=scale.sign, limit=scale.limit, color_bar=False, side=side)
    return with_bar(drawn, scale, map, unit, side)


def with_bar(picture: Image.Image, scale: Scale, values: NDArray[np.floating], unit: str, width: int) -> Image.Image:
    """The picture with the colors below it from left to right, their ends in numbers and the unit between them."""
    size = type_size(width)
    thick, step = max(6, round(size * 0.6)), round(size * LINE)
    bottom, top = scale.ends
    less, more = scale.exceeded_by(values)
    ends = ("< " if less else "") + signed(bottom), ("> " if more else "") + signed(top)
    strip = Image.new("RGB", (width, thick + 2 * step), PAPER)
    ramp = Image.fromarray(scale.table[None].repeat(thick, axis=0))
    strip.paste(ramp.resize((width, thick), Image.Resampling.BILINEAR), (0, round(size * 0.4)))
    draw, y = ImageDraw.Draw(strip), thick + size * 0.6
    write(draw, (0, y), ends[0], size * 0.9, ink=INK)
    write(draw, (width, y), ends[1], size * 0.9, ink=INK, anchor="ra")
    room = width - sum(length(end, size * 0.9) for end in ends) - 2 * size
    words = cut_middle(unit, size * 0.8, room)
    write(draw, (width / 2, y + size * 0.05), words, size * 0.8, ink=MUTED, anchor="ma")
    whole = Image.new("RGB", (width, picture.height + strip.height), PAPER)
    whole.paste(picture, ((width - picture.width) // 2, 0))
    whole.paste(strip, (0, picture.height))
    return whole


def tile_grid(
    rows: Sequence[Sequence[GridTile]], *, side: int, title: str = "", caption: str = "", headings: Sequence[str] = ()
) -> Image.Image:
    """Rows of tiles below one another; `headings` stand above whole rows."""
    size, gap = type_size(side), max(8, side // 14)
    width = max(len(row) for row in rows) * (side + gap) - gap
    strips = [paragraph(title, width, size * 1.35, INK)]
    for k, row in enumerate(rows):
        if k < len(headings) and headings[k]:
            strips.append(paragraph(headings[k], width, size * 1.1, INK))
        strips.append(_row(row, side, gap, size))
    strips.append(paragraph(caption, width, size, MUTED))
    return stacked([strip for strip in strips if strip.height], edge=max(12, side // 10), gap=gap)


def type_size(side: int) -> float:
    """The size of the type beside images of that side."""
    return max(10.0, side / 16)


def cut_middle(text: str, size: float, width: float) -> str:
    """The text, its middle cut out where it does not fit: the ends of file names tell them apart."""
    if length(text, size) <= width:
        return text
    kept = len(text)
    while kept > 1:
        kept -= 1
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if length(short, size) <= width:
            return short
    return "…" if length("…", size) <= width else ""


def signed(value: float) -> str:
    """Three digits, a true minus."""
    return number(value).replace("-", "−")


def _row(row: Sequence[GridTile], side: int, gap: int, size: float) -> Image.Image:
    lines = 2 if any(tile.detail for tile in row) else 1 if any(tile.heading for tile in row) else 0
    top = round(lines * size * LINE)
    pictures = [tile.picture and (tile.picture if tile.picture.width == side else resized(tile.picture, side))
                for tile in row]  # fmt: skip
    height = top + max([picture.height for picture in pictures if picture] or [1])
    strip = Image.new("RGB", (len(row) * (side + gap) - gap, height), PAPER)
    draw = ImageDraw.Draw(strip)
    for j, (tile, picture) in enumerate(zip(row, pictures, strict=True)):
        x = j * (side + gap)
        for k, (words, ink) in enumerate(((tile.heading, INK), (tile.detail, MUTED))):
            write(draw, (x, k * size * LINE), cut_middle(words, size, side), size, ink=ink)
        if picture:
            strip.paste(picture, (x + (side - picture.width) // 2, top))
    return strip


def values_of(map: Tensor) -> NDArray[np.floating]:
    """A map as an array."""
    return np.asarray(map.detach().cpu().float().numpy())

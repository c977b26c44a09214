"""Sheets of pictures, aligned on a grid, with words where a reader looks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from foveal.render.overlay import INK, PAPER, fit, resized
from foveal.render.text import shorten, wrap, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results import Explanation

MUTED = (110, 110, 118)
SCALED = "Every overlay has a scale of its own, which ends where 98 % of its values do."


def grid(
    cells: Sequence[Sequence[Image.Image | None]],
    *,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    title: str = "",
    caption: str = "",
    side: int = 256,
) -> Image.Image:
    """One picture out of many: a row each, headings above the columns, words to the left of the rows.

    Every cell is fitted into `side` × `side` pixels; None leaves a gap. A first line of a row's words is set in
    black, the following ones, separated by newlines, in grey.
    """
    count = max((len(row) for row in cells), default=0)
    size = max(11, round(side / 15))
    gap, edge = max(4, side // 24), max(10, side // 10)
    left = edge + (round(side * 0.75) if rows else 0)
    width = left + count * (side + gap) - gap + edge
    heights = [max((_height(cell, side) for cell in row if cell), default=side) for row in cells]
    headline = wrap(title, size * 1.4, width - 2 * edge)
    footline = wrap(caption, size, width - 2 * edge)
    y = edge + round(len(headline) * size * 1.9) + (round(size * 1.9) if columns else 0)
    total = y + sum(heights) + gap * (len(heights) - 1) + round(len(footline) * size * 1.4) + edge
    sheet = Image.new("RGB", (width, total + (size if footline else 0)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, line in enumerate(headline):
        write(draw, (edge, edge + i * size * 1.9), line, size * 1.4, ink=INK)
    for j, heading in enumerate(columns):
        at = (left + j * (side + gap), y - size * 0.5)
        write(draw, at, shorten(heading, size, side), size, ink=INK, anchor="ls")
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            if cell is not None:
                sheet.paste(resized(cell, side), (left + j * (side + gap), y))
        _label(draw, rows[i] if i < len(rows) else "", (edge, y), size, left - edge - gap)
        y += heights[i] + gap
    for i, line in enumerate(footline):
        write(draw, (edge, y + size * 0.4 + i * size * 1.4), line, size, ink=MUTED)
    return sheet


def layer_sheet(why: Explanation, *, layers: Sequence[str] | None = None, side: int = 256) -> Image.Image:
    """A row a picture: its photo, then the overlay at each layer, each on its own robust scale."""
    names = tuple(layers) if layers is not None else why.layers
    cells = [
        [
            _photo(why, i, side),
            *(why.overlay(i, layer=layer, scale="robust", colour_bar=False, side=side) for layer in names),
        ]
        for i in range(len(why))
    ]
    return grid(
        cells,
        columns=("photo", *names),
        rows=["\n".join(why.facts(i)) for i in range(len(why))],
        title=f"{why.method} of {why.model}",
        caption=" ".join((SCALED, *(f"{remark}." for remark in why.remarks))),
        side=side,
    )


def method_sheet(explanations: Sequence[Explanation], *, side: int = 256) -> Image.Image:
    """A row a picture: its photo, then the overlay of each explanation's deepest layer."""
    first = explanations[0]
    cells = [
        [_photo(first, i, side), *(why.overlay(i, colour_bar=False, side=side) for why in explanations)]
        for i in range(len(first))
    ]
    return grid(
        cells,
        columns=("photo", *(why.method for why in explanations)),
        rows=["\n".join(first.facts(i)) for i in range(len(first))],
        title=first.model,
        side=side,
    )


def _photo(why: Explanation, i: int, side: int) -> Image.Image:
    return Image.fromarray(fit(why.photos[i], side).pixels)


def _label(draw: ImageDraw.ImageDraw, words: str, at: tuple[float, float], size: int, width: int) -> None:
    x, y = at
    for k, part in enumerate(words.splitlines()):
        for line in wrap(part, size, width):
            write(draw, (x, y), line, size, ink=INK if k == 0 else MUTED)
            y += size * 1.4


def _height(picture: Image.Image, side: int) -> int:
    return max(1, round(picture.height * side / max(picture.size)))

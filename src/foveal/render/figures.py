"""Sheets of images, aligned on a grid, with words where a reader looks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from foveal.render.overlay import INK, PAPER, draw_photo, resized
from foveal.render.text import shorten, wrap, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.images import Photo

MUTED = (110, 110, 118)
LINE = 1.4  # line height, in sizes of the type


def grid(
    cells: Sequence[Sequence[Image.Image | None]],
    *,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    below: Sequence[Sequence[str]] = (),
    title: str = "",
    caption: str = "",
    side: int = 256,
) -> Image.Image:
    """One image out of many: a row each, headings above the columns, words to the left of the rows.

    Every cell is fitted into `side` × `side` pixels; None leaves a gap. A first line of a row's words is set in
    black, the following ones, separated by newlines, in gray. `below` has a line of words for each cell.
    """
    layout = Layout(side, max((len(row) for row in cells), default=0), labeled=bool(rows))
    words = (*rows, *[""] * len(cells))
    under: list[Sequence[str]] = [*below, *[()] * len(cells)]
    strips = [
        paragraph(title, layout.width, layout.size * 1.4, INK),
        _headings(columns, layout),
        *(_row(row, words[i], under[i], layout) for i, row in enumerate(cells)),
        paragraph(caption, layout.width, layout.size, MUTED),
    ]
    shown = [strip for strip in strips if strip.height]
    return stacked(shown or [Image.new("RGB", (layout.width, 1), PAPER)], edge=layout.edge, gap=layout.gap)


def paragraph(text: str, width: int, size: float, ink: tuple[int, int, int]) -> Image.Image:
    """Words in as many lines as they take."""
    lines = wrap(text, size, width)
    strip = Image.new("RGB", (width, round(len(lines) * size * LINE)), PAPER)
    for i, line in enumerate(lines):
        write(ImageDraw.Draw(strip), (0, i * size * LINE), line, size, ink=ink)
    return strip


def stacked(strips: Sequence[Image.Image], *, edge: int, gap: int) -> Image.Image:
    """Images below one another, aligned left."""
    width, height = max(s.width for s in strips), sum(s.height + gap for s in strips) - gap
    sheet = Image.new("RGB", (width + 2 * edge, height + 2 * edge), PAPER)
    y = edge
    for strip in strips:
        sheet.paste(strip, (edge, y))
        y += strip.height + gap
    return sheet


def fit_photo(photo: Photo, side: int) -> Image.Image:
    """The photo itself, as large as an overlay of that side."""
    return draw_photo(photo, side)


def sentence(note: str, layers: Sequence[str] = ()) -> str:
    """A note as a sentence: with a capital letter, unless it begins with a layer's name, and a full stop."""
    named = any(note.startswith(layer) for layer in layers)
    return f"{note if named else note[:1].upper() + note[1:]}{'' if note.endswith('.') else '.'}"


@dataclass(frozen=True)
class Layout:
    """Measures of a grid in pixels; all follow from the side of its cells."""

    side: int
    count: int
    labeled: bool

    @property
    def size(self) -> int:
        return max(11, round(self.side / 15))

    @property
    def gap(self) -> int:
        return max(4, self.side // 24)

    @property
    def edge(self) -> int:
        return max(10, self.side // 10)

    @property
    def left(self) -> int:
        return round(self.side * 0.75) if self.labeled else 0

    @property
    def width(self) -> int:
        return max(self.column(self.count) - self.gap, self.side)

    def column(self, j: int) -> int:
        return self.left + j * (self.side + self.gap)


def _headings(columns: Sequence[str], layout: Layout) -> Image.Image:
    strip = Image.new("RGB", (layout.width, round(layout.size * LINE) if columns else 0), PAPER)
    for j, heading in enumerate(columns):
        words = shorten(heading, layout.size, layout.side)
        write(ImageDraw.Draw(strip), (layout.column(j), 0), words, layout.size, ink=INK)
    return strip


def _row(cells: Sequence[Image.Image | None], words: str, below: Sequence[str], layout: Layout) -> Image.Image:
    """Words, and cells to the right of them, each with a line below it."""
    fitted = {j: resized(cell, layout.side) for j, cell in enumerate(cells) if cell is not None}
    width = layout.left - layout.gap
    lines = [(k, line) for k, part in enumerate(words.splitlines()) for line in wrap(part, layout.size, width)]
    room = round(layout.size * 1.6) if any(below) else 0
    needed = [cell.height + room for cell in fitted.values()] or [layout.side]
    strip = Image.new("RGB", (layout.width, max(*needed, round(len(lines) * layout.size * LINE), 1)), PAPER)
    for j, cell in fitted.items():
        strip.paste(cell, (layout.column(j), 0))
        if j < len(below) and below[j]:
            at, line = (layout.column(j), cell.height + 0.2 * layout.size), shorten(below[j], layout.size, layout.side)
            write(ImageDraw.Draw(strip), at, line, layout.size, ink=MUTED)
    for i, (k, line) in enumerate(lines):
        ink = INK if k == 0 else MUTED
        write(ImageDraw.Draw(strip), (0, i * layout.size * LINE), line, layout.size, ink=ink)
    return strip

"""A decision divided among parts, on one page: what the network used, stage by stage, and how much of it.

A card a part: the photo where the part lies, its share of the decision, and of which parts above it is a part; below,
where they are known, the photos in which it is strongest and an image made for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from foveal.render.feature import feature_picture, pattern_picture, region
from foveal.render.figures import LINE, MUTED
from foveal.render.overlay import INK, PAPER, fit, seen_photo
from foveal.render.page_layout import Page
from foveal.render.part_legend import draw_legend
from foveal.render.part_strips import EXAMPLES_ACROSS, example_picture, image_picture
from foveal.render.part_words import card_lines, row_words
from foveal.render.text import length, shorten, wrap
from foveal.render.tree_caption import caption, title
from foveal.render.tree_lines import AGAINST, FOR, THICKEST, UNCONFIRMED, Line, draw_lines
from foveal.render.tree_rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.render.drawable_trees import Graph, Key
    from foveal.render.page_layout import Point
    from foveal.render.tree_rows import Cell

    _Ends = Mapping[Key, Point]

LEAST = 0.03  # of the decision, that a line carries, unless it is the only one to a part
STRIPS = {
    "pattern": "evidence in each pixel",
    "contribution": "photos where it contributes most to this decision",
    "activation": "photos where it is most active",
    "image": "image made for its channels",
}


def part_poster(tree: Graph, *, most: int, side: int) -> Page:
    """The `most` strongest parts of each stage; lines are as thick as what they carry of the decision."""
    return _Poster(tree, rows_of(tree, most), side).page()


@dataclass(frozen=True)
class _Poster:
    tree: Graph
    rows: Sequence[Sequence[Cell]]
    side: int

    @property
    def size(self) -> float:
        """Of the type."""
        return self.side / 12

    @property
    def gap(self) -> float:
        return self.side / 5

    @property
    def left(self) -> float:
        """Where the cards begin."""
        return self.side * 1.05

    @property
    def width(self) -> int:
        cards = max((len(row) for row in self.rows), default=0) * (self.side + self.gap)
        return round(self.left + max(cards, 5.4 * self.side))

    @cached_property
    def flow(self) -> Mapping[Key, float]:
        return self.tree.flow()

    def page(self) -> Page:
        size, tall = self.size, self.side * 1.8
        shown = [[cell.feature for cell in row] for row in self.rows]
        looked = any(feature.pattern for row in shown for feature in row)
        head = wrap(title(self.tree), size * 1.5, self.width)
        foot = wrap(caption(self.tree, shown, looked=looked), size, self.width)
        top = size * (1.6 + len(head) * 1.5 * LINE)
        tops, y = [], top + tall
        for number, row in enumerate(self.rows):
            y += self._between(number)
            tops.append(y)
            y += self._height(row)
        page = Page(round(self.width + 2 * size), round(y + size * (3 + len(foot) * LINE)))
        for i, line in enumerate(head):
            page.text((size, size + i * size * 1.5 * LINE), line, size * 1.5, ink=INK, anchor="la")
        middle = self.left + (self.width - self.left) / 2
        places: dict[Key, Point] = {}
        for row, y in zip(self.rows, tops, strict=True):
            x = middle - (len(row) * (self.side + self.gap) - self.gap) / 2 + self.side / 2
            for k, cell in enumerate(row):
                places[cell.feature.key] = (x + k * (self.side + self.gap), y)
        self._photo(page, middle, top, tall)
        lines, above, below = self._lines(places, (middle, top + tall))
        colors = {line.color for line in lines} | {AGAINST for row in self.rows for cell in row if cell.against}
        corner = (middle + self.side * 1.35, top)
        draw_legend(page, self.tree, corner, self.width - corner[0], size, colors)
        draw_lines(page, lines, below, above, room=self.side * 0.8)
        for row, y in zip(self.rows, tops, strict=True):
            self._row_words(page, row, y)
            for cell in row:
                self._card(page, cell, places[cell.feature.key])
        for i, line in enumerate(foot):
            at = (size, page.height - size - (len(foot) - i) * size * LINE)
            page.text(at, line, size, ink=MUTED, anchor="la")
        return page

    def _between(self, number: int) -> float:
        return self.side * (0.45 if number == 0 else 0.6)

    def _height(self, row: Sequence[Cell]) -> float:
        return self.side + self._words_height(row) + sum(tall for _, tall in self._strips(row))

    def _words_height(self, row: Sequence[Cell]) -> float:
        lines = max(len(card_lines(self.tree, cell, self.flow)) for cell in row)
        return self.size * LINE * (lines + 0.8)

    def _strips(self, row: Sequence[Cell]) -> list[tuple[str, float]]:
        """What stands below the words of a row, each as high as it says."""
        features = [cell.feature for cell in row]
        orders = {example.order for feature in features for example in feature.examples}
        known = {
            "pattern": any(feature.pattern for feature in features),
            **{order: order in orders for order in ("contribution", "activation")},
            "image": any(feature.image is not None for feature in features),
        }
        tall = {"contribution": self.side / EXAMPLES_ACROSS, "activation": self.side / EXAMPLES_ACROSS}
        return [(name, tall.get(name, self.side) + self.size * 0.4) for name, there in known.items() if there]

    def _card(self, page: Page, cell: Cell, at: Point) -> None:
        (x, y), side = at, self.side
        corner = x - side / 2
        picture = feature_picture(self.tree, cell.edge, side=2 * side, against=cell.against, flipped=cell.flipped)
        lines = card_lines(self.tree, cell, self.flow)
        page.place((corner, y), picture, size=(side, side), alt=": ".join(text for text, _ in lines[:2]))
        color = AGAINST if cell.against else FOR
        page.line((corner, y + side), (corner + side, y + side), color, 3)
        below = y + side
        for i, (text, strong) in enumerate(lines):
            ink = INK if strong else MUTED
            said = shorten(text, self.size, side + self.gap * 0.9)
            page.text((x, below + self.size * LINE * (i + 0.9)), said, self.size, ink=ink)
        row = next(row for row in self.rows if cell in row)
        below += self._words_height(row)
        for name, tall in self._strips(row):
            self._strip(page, cell, name, (corner, below))
            below += tall

    def _strip(self, page: Page, cell: Cell, name: str, at: Point) -> None:
        feature, side = cell.feature, self.side
        if name == "pattern" and feature.pattern:
            drawn = pattern_picture(self.tree, feature, side=side)
            page.place(at, drawn, alt=f"evidence for {feature.name} in each pixel")
        elif name == "image" and feature.image is not None:
            page.place(at, image_picture(feature.image, side), alt=f"image made for {feature.name}")
        else:
            small = side // EXAMPLES_ACROSS - 1
            examples = [example for example in feature.examples if example.order == name][:EXAMPLES_ACROSS]
            for k, example in enumerate(examples):
                drawn = example_picture(example, 2 * small, against=cell.against and name == "contribution")
                place = (at[0] + k * (small + 2), at[1])
                page.place(place, drawn, size=(small, small), alt=f"{example.file.name}, {feature.name}")

    def _row_words(self, page: Page, row: Sequence[Cell], y: float) -> None:
        """The stage, and what its strips are, to the left."""
        size, room = self.size, self.left - self.size * 2.5
        name = shorten(row[0].feature.layer, size * 1.2, room)
        page.text((size, y + size * 0.8), name, size * 1.2, ink=INK, anchor="lm")
        self._beside(page, row_words(self.tree, [cell.feature for cell in row], self.flow), y + size * LINE * 1.2, room)
        below = y + self.side + self._words_height(row)
        for strip, tall in self._strips(row):
            self._beside(page, STRIPS[strip], below, room)
            below += tall

    def _beside(self, page: Page, text: str, y: float, room: float) -> None:
        for i, line in enumerate(wrap(text, self.size, room)):
            page.text((self.size, y + self.size * LINE * (i + 0.6)), line, self.size, ink=MUTED, anchor="lm")

    def _photo(self, page: Page, middle: float, top: float, tall: float) -> None:
        """The photo, with the crops of the first row, each with its number."""
        height, wide = self.tree.photo.geometry.photo_size
        shown = fit(self.tree.photo, max(1, round(max(tall, tall * wide / height))))
        picture = seen_photo(shown)
        left, ratio, size = middle - picture.width / 2, picture.width / wide, self.size
        page.place((left, top), picture, alt=self.tree.photo.source)
        for cell in self.rows[0] if self.rows else ():
            x0, y0, x1, y1 = (value * ratio for value in region(self.tree, cell.feature))
            color = AGAINST if cell.against else FOR
            page.frame((left + x0, top + y0, left + x1, top + y1), color, 2)
            number = str((cell.feature.part or 0) + 1)
            broad = length(number, size) + size * 0.6
            page.line((left + x0, top + y0 + size * 0.6), (left + x0 + broad, top + y0 + size * 0.6), color, size * 1.2)
            page.text((left + x0 + broad / 2, top + y0 + size * 0.6), number, size, ink=PAPER)

    def _lines(self, places: Mapping[Key, Point], start: Point) -> tuple[list[Line], _Ends, _Ends]:
        """With where they end above each part, and begin below it."""
        rows = {cell.feature.key: row for row in self.rows for cell in row}
        below = {key: (x, y + self._height(rows[key]) + 4) for key, (x, y) in places.items()}
        below[self.tree.decision.key] = (start[0], start[1] + 4)
        above = {key: (x, y - 4) for key, (x, y) in places.items()}
        return _drawn(self.tree, self.flow, below, above), above, below


def _drawn(
    tree: Graph, flow: Mapping[Key, float], below: Mapping[Key, Point], above: Mapping[Key, Point]
) -> list[Line]:
    """Lines that carry enough, and the strongest to each part; as thick as what they carry of the decision."""
    carried = [
        (parent, edge, flow[parent.key] * edge.share)
        for parent in [tree.decision, *tree.features.values()]
        for edge in parent.edges or ()
        if parent.key in flow and parent.key in below and edge.child.key in above
    ]
    strongest: dict[Key, float] = {}
    for _, edge, share in carried:
        strongest[edge.child.key] = max(strongest.get(edge.child.key, 0.0), abs(share))
    widest = max((abs(share) for *_, share in carried), default=1.0) or 1.0
    return [
        Line(parent.key, edge.child.key, UNCONFIRMED if edge.disagrees else AGAINST if share < 0 else FOR,
             max(1.0, THICKEST * abs(share) / widest))
        for parent, edge, share in carried
        if abs(share) >= min(LEAST, strongest[edge.child.key])
    ]  # fmt: skip

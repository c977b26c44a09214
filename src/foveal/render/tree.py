"""A decision taken apart, on one page: the photo, and a row a stage with the features that hold most of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.feature import effective_region, feature_picture, pattern_picture, region
from foveal.render.figures import LINE, MUTED
from foveal.render.overlay import INK, fit, seen_photo
from foveal.render.page_layout import Page
from foveal.render.text import shorten, wrap
from foveal.render.tree_caption import caption, title
from foveal.render.tree_lines import AGAINST, DOUBT, FLOW, THICKEST, Line, draw_lines
from foveal.render.tree_rows import rows_of
from foveal.render.tree_words import label_of, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.render.drawable_trees import Graph, Key
    from foveal.render.page_layout import Point
    from foveal.render.tree_rows import Cell

BOX = (255, 255, 255)


def tree_page(tree: Graph, *, most: int = 8, side: int = 132) -> Page:
    """The `most` strongest features of each stage, and how much of the decision flows through each.

    A feature that supports several others stands once, below those; lines are as thick as what flows along them, level
    by level. A line whose measured effect says otherwise is drawn in another color. What speaks against the decision
    stands to the right of what supports it; what drives a feature, below it, where `Tree.look` has found it.
    """
    rows = rows_of(tree, most)
    size = side / 9
    gap, between = side / 6, side * 0.75
    looked = any(cell.feature.pattern for row in rows for cell in row)
    deep = side * (2 if looked else 1) + size * LINE  # of a cell with the first line of its words
    left = side * 0.9
    broad = max((_width(row, side, gap) for row in rows), default=0)
    width = round(max(left + broad + gap, 6 * side))
    head = wrap(title(tree), size * 1.5, width)
    shown = [[cell.feature for cell in row if not cell.opponent] for row in rows]
    foot = wrap(
        caption(tree, shown, looked=looked),
        size,
        width,
    )
    top = size * 1.6 + len(head) * size * 1.5 * LINE
    tall = side * 1.8
    step = deep + between + size * LINE
    height = round(top + tall + len(rows) * step + size * (2 + len(foot) * LINE))
    page = Page(width + round(2 * size), height)
    for i, line in enumerate(head):
        page.text((size, size + i * size * 1.5 * LINE), line, size * 1.5, ink=INK, anchor="la")
    middle = left + (width - left) / 2
    _photo(page, tree, rows[0] if rows else [], middle, top, tall)
    places: dict[Key, Point] = {tree.decision.key: (middle, top + tall)}
    for i, row in enumerate(rows):
        y = top + tall + between + i * step
        name = shorten(row[0].feature.layer, size * 1.1, left - size * 2)
        page.text((size, y + side / 2), name, size * 1.1, ink=INK, anchor="lm")
        x = middle - _width(row, side, gap) / 2 + side / 2
        for k, cell in enumerate(row):
            x += gap * 2 if k and cell.against and not row[k - 1].against else 0
            places[cell.feature.key] = (x, y)
            x += side + gap
    below = {key: (x, y + deep + size * LINE * 1.1) for key, (x, y) in places.items()}
    below[tree.decision.key] = (middle, top + tall + size * 0.4)
    flow = tree.flow()
    draw_lines(page, [*_support(tree, places, flow), *_opposition(tree, rows)], below, places, room=side * 0.7)
    for row in rows:
        for cell in row:
            _cell(page, tree, cell, places[cell.feature.key], side, size, flow.get(cell.feature.key))
    for i, line in enumerate(foot):
        page.text((size, height - size - (len(foot) - i) * size * LINE), line, size, ink=MUTED, anchor="la")
    return page


def _cell(page: Page, tree: Graph, cell: Cell, at: Point, side: int, size: float, carried: float | None) -> None:
    """Its images and words."""
    (x, y), feature = at, cell.feature
    corner = (x - side / 2, y)
    picture = feature_picture(tree, cell.edge, side=side, against=cell.against, flipped=cell.flipped)
    page.place(corner, picture, alt=f"{feature.name}: {percent(cell.edge.share)} of {_owner(cell)}")
    if feature.pattern:
        page.place((corner[0], y + side), pattern_picture(tree, feature, side=side), alt=f"what drives {feature.name}")
    bottom = y + side * (2 if feature.pattern else 1)
    if cell.against:
        page.frame((corner[0], y, corner[0] + side, bottom), AGAINST, 2)
    share = cell.edge.share if cell.opponent or carried is None else carried
    page.text((x, bottom + size * 0.75), label_of(feature), size, ink=INK)
    words = f"against {percent(abs(share))}" if cell.against else percent(share)
    page.text((x, bottom + size * (0.75 + LINE * 0.9)), words, size, ink=MUTED)


def _owner(cell: Cell) -> str:
    """What its share is a share of."""
    if cell.feature.part is not None:
        return "what its parent brings"
    return f"what {'opposes' if cell.opponent else 'supports'} its parent"


def _width(row: Sequence[Cell], side: int, gap: float) -> float:
    """A row of cells, with room before what speaks against."""
    return len(row) * (side + gap) - gap + (2 * gap if any(cell.against for cell in row) else 0)


def _support(tree: Graph, places: Mapping[Key, Point], flow: Mapping[Key, float]) -> list[Line]:
    shown = [
        (parent, edge, abs(flow[parent.key] * edge.share))
        for parent in [tree.decision, *tree.features.values()]
        for edge in parent.edges or ()
        if parent.key in flow and parent.key in places and edge.child.key in places
    ]
    most = {
        parent.stage: max(weight for above, _, weight in shown if above.stage == parent.stage) for parent, *_ in shown
    }
    return [
        Line(parent.key, edge.child.key, DOUBT if edge.disagrees else AGAINST if edge.share < 0 else FLOW,
             max(1.0, THICKEST * weight / (most[parent.stage] or 1.0)))
        for parent, edge, weight in shown
    ]  # fmt: skip


def _opposition(tree: Graph, rows: Sequence[Sequence[Cell]]) -> list[Line]:
    ratio = THICKEST * tree.decision.contra / max(tree.decision.pro, 1e-30)
    return [
        Line(tree.decision.key, cell.feature.key, AGAINST, min(THICKEST, max(1.0, cell.edge.share * ratio)))
        for cell in (rows[0] if rows else ())
        if cell.opponent
    ]


def _photo(page: Page, tree: Graph, row: Sequence[Cell], middle: float, top: float, height: float) -> None:
    """The photo, with what the features of the last stage see outlined: what they respond to, if that is known."""
    tall, wide = tree.photo.geometry.photo_size
    shown = fit(tree.photo, max(1, round(max(height, height * wide / tall))))
    picture = seen_photo(shown)
    left, ratio = middle - picture.width / 2, picture.width / wide
    page.place((left, top), picture, alt=tree.photo.source)
    for cell in row:
        effective = effective_region(tree, cell.feature)
        for box, thick in ((region(tree, cell.feature), 1), (effective, 3)):
            if box and not (effective is None and thick == 3):
                x0, y0, x1, y1 = (value * ratio for value in box)
                color = AGAINST if cell.against else BOX
                page.frame((left + x0, top + y0, left + x1, top + y1), color, thick)

"""A decision taken apart, on one page: the photo, and a row a stage with the features that hold most of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from foveal.render.feature import effective_region, feature_picture, pattern_picture, region
from foveal.render.figures import LINE, MUTED
from foveal.render.overlay import INK, fit
from foveal.render.page_layout import Page
from foveal.render.scale import number
from foveal.render.text import shorten, wrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.render.drawable import Graph, Key, Support, Vertex
    from foveal.render.page_layout import Point

FLOW, DOUBT, AGAINST, BOX = (96, 128, 168), (190, 92, 70), (42, 107, 224), (255, 255, 255)
THICKEST = 9  # pixels


@dataclass(frozen=True)
class Cell:
    """A feature on the page, by the edge that carries most to it."""

    edge: Support
    against: bool = False

    @property
    def feature(self) -> Vertex:
        return self.edge.child


def tree_page(tree: Graph, *, most: int = 8, side: int = 132) -> Page:
    """The `most` strongest features of each stage, and how much of the decision flows through each.

    A feature that supports several others stands once; lines are as thick as what flows along them, level by level.
    A line whose measured effect says otherwise is drawn in another color. What speaks against the decision stands to
    the right of what supports it; what drives a feature, below it, where `Tree.look` has found it.
    """
    rows = _rows(tree, most)
    size = side / 9
    gap, between = side / 6, side * 0.75
    looked = any(cell.feature.pattern for row in rows for cell in row)
    deep = side * (2 if looked else 1)  # of a cell
    left = side * 0.9
    broad = max((_width(row, side, gap) for row in rows), default=0)
    width = round(max(left + broad + gap, 6 * side))
    head = wrap(f"{tree.target}, by {tree.model}: score {tree.decision.value:.3g}{_balance(tree)}", size * 1.5, width)
    foot = wrap(_caption(tree, looked=looked), size, width)
    top = size + len(head) * size * 1.5 * LINE
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
    below = {key: (x, y + deep + size * LINE) for key, (x, y) in places.items()}
    below[tree.decision.key] = (middle, top + tall)
    flow = tree.flow()
    _lines(page, tree, rows, places, below, flow)
    for row in rows:
        for cell in row:
            _cell(page, tree, cell, places[cell.feature.key], side, size, flow.get(cell.feature.key))
    for i, line in enumerate(foot):
        page.text((size, height - size - (len(foot) - i) * size * LINE), line, size, ink=MUTED, anchor="la")
    return page


def _cell(page: Page, tree: Graph, cell: Cell, at: Point, side: int, size: float, carried: float | None) -> None:
    """Its pictures and words."""
    (x, y), feature = at, cell.feature
    corner = (x - side / 2, y)
    alt = (
        f"{feature.name}: {100 * cell.edge.share:.1f} % of what {'opposes' if cell.against else 'supports'} its parent"
    )
    page.place(corner, feature_picture(tree, cell.edge, side=side, against=cell.against), alt=alt)
    if feature.pattern:
        page.place((corner[0], y + side), pattern_picture(tree, feature, side=side), alt=f"what drives {feature.name}")
    bottom = y + side * (2 if feature.pattern else 1)
    if cell.against:
        page.frame((corner[0], y, corner[0] + side, bottom), AGAINST, 2)
    share = cell.edge.share if cell.against or carried is None else carried
    more = f" +{len(feature.channels) - 1}" if len(feature.channels) > 1 else ""
    words = f"{feature.channel}{more}: {'against, ' if cell.against else ''}{100 * share:.1f} %"
    page.text((x, bottom + size * 0.75), words, size, ink=MUTED)


def _rows(tree: Graph, most: int) -> list[list[Cell]]:
    """The features shown, the last stage first, the strongest to the left; there also what opposes the decision."""
    flow, incoming = tree.flow(), _strongest(tree)
    rows = []
    for stage in reversed(range(len(tree.stages))):
        features = [f for f in tree.features.values() if f.stage == stage and f.key in flow]
        if features:
            best = sorted(features, key=lambda f: -flow[f.key])[:most]
            rows.append([Cell(incoming[f.key]) for f in best])
    if rows:
        shown = {cell.feature.key for cell in rows[0]}
        rows[0] += [Cell(edge, against=True) for edge in tree.decision.opponents if edge.child.key not in shown]
    return rows


def _width(row: Sequence[Cell], side: int, gap: float) -> float:
    """A row of cells, with room before what speaks against."""
    return len(row) * (side + gap) - gap + (2 * gap if any(cell.against for cell in row) else 0)


def _strongest(tree: Graph) -> Mapping[Key, Support]:
    """Vertex -> the edge to it that carries most."""
    strongest: dict[Key, Support] = {}
    for parent in [tree.decision, *tree.features.values()]:
        for edge in parent.edges or ():
            key = edge.child.key
            if key not in strongest or edge.share > strongest[key].share:
                strongest[key] = edge
    return strongest


def _lines(
    page: Page,
    tree: Graph,
    rows: Sequence[Sequence[Cell]],
    places: Mapping[Key, Point],
    below: Mapping[Key, Point],
    flow: Mapping[Key, float],
) -> None:
    """From parents to children; the thickest of each level carries most of that level."""
    shown = [
        (parent, edge, flow[parent.key] * edge.share)
        for parent in [tree.decision, *tree.features.values()]
        for edge in parent.edges or ()
        if parent.key in flow and parent.key in places and edge.child.key in places
    ]
    for parent, edge, carried in sorted(shown, key=lambda line: line[2]):
        most = max(weight for start, _, weight in shown if start.stage == parent.stage)
        color = DOUBT if edge.disagrees else FLOW
        page.line(below[parent.key], places[edge.child.key], color, max(1.0, THICKEST * carried / most))
    opposed = [cell.edge for cell in (rows[0] if rows else ()) if cell.against]
    for edge in opposed:
        width = max(1.0, THICKEST * edge.share * tree.decision.contra / max(tree.decision.pro, 1e-30))
        page.line(below[tree.decision.key], places[edge.child.key], AGAINST, min(width, THICKEST))


def _photo(page: Page, tree: Graph, row: Sequence[Cell], middle: float, top: float, height: float) -> None:
    """The photo, with what the features of the last stage see outlined: what they respond to, if that is known."""
    tall, wide = tree.photo.geometry.photo_size
    shown = fit(tree.photo, max(1, round(max(height, height * wide / tall))))
    picture = Image.fromarray(shown.pixels)
    left, ratio = middle - picture.width / 2, picture.width / wide
    page.place((left, top), picture, alt=tree.photo.source)
    for cell in row:
        effective = effective_region(tree, cell.feature)
        for box, thick in ((region(tree, cell.feature), 1), (effective, 3)):
            if box and not (effective is None and thick == 3):
                x0, y0, x1, y1 = (value * ratio for value in box)
                color = AGAINST if cell.against else BOX
                page.frame((left + x0, top + y0, left + x1, top + y1), color, thick)


def _balance(tree: Graph) -> str:
    """ ": 31.2 for, 12.5 against, -3.1 by biases"."""
    decision = tree.decision
    if decision.edges is None:
        return ""
    return f": {number(decision.pro)} for, {number(decision.contra)} against, {number(decision.offset)} by biases"


def _caption(tree: Graph, *, looked: bool) -> str:
    kept = ", ".join(f"{100 * share:.0f} %" for share in tree.kept()[1:])
    said = [
        f"Channel and the share of the decision that flows through it, rule {tree.parameters.get('rule')}.",
        f"The tree holds {kept} of the decision, level by level." if kept else "",
        "A crop shows what the neuron can see; boxes on the photo are those of the last stage.",
    ]
    if looked:
        kinds = {f.pattern.kind for f in tree.features.values() if f.pattern}
        said.append(
            f"Below each crop, what drives the neuron there ({', '.join(sorted(kinds))}): a picture, no evidence. Bold "
            "boxes hold 95 % of it."
        )
    if tree.decision.opponents:
        said.append("Blue: what speaks against the decision.")
    if any(edge.effect is not None for edge in tree.decision.edges or ()):
        said.append("Red: taking the channel away does not lower what it was found to support.")
    return " ".join([*filter(None, said), *(f"{note}." for note in tree.notes)])

"""A decision taken apart, on one page: the photo, and a row a stage with the features that hold most of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from foveal.render.feature import crop_of, effective_region, feature_picture, pattern_picture, region
from foveal.render.figures import LINE, MUTED
from foveal.render.overlay import INK, fit
from foveal.render.page_layout import Page
from foveal.render.scale import number
from foveal.render.text import shorten, wrap
from foveal.render.tree_lines import AGAINST, DOUBT, FLOW, THICKEST, Line, draw_lines, untangled
from foveal.render.tree_words import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.render.drawable import Graph, Key, Support, Vertex
    from foveal.render.page_layout import Point

BOX = (255, 255, 255)


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

    A feature that supports several others stands once, below those; lines are as thick as what flows along them, level
    by level. A line whose measured effect says otherwise is drawn in another color. What speaks against the decision
    stands to the right of what supports it; what drives a feature, below it, where `Tree.look` has found it.
    """
    rows = _untangled(tree, _rows(tree, most))
    size = side / 9
    gap, between = side / 6, side * 0.75
    looked = any(cell.feature.pattern for row in rows for cell in row)
    deep = side * (2 if looked else 1) + size * LINE  # of a cell with the first line of its words
    left = side * 0.9
    broad = max((_width(row, side, gap) for row in rows), default=0)
    width = round(max(left + broad + gap, 6 * side))
    head = wrap(f"{tree.target}, {tree.model}: score {tree.decision.value:.3g}{_balance(tree)}", size * 1.5, width)
    foot = wrap(_caption(tree, rows, looked=looked), size, width)
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
    page.text((x, bottom + size * 0.75), f"channel {feature.channel}{more}", size, ink=INK)
    words = f"{'against ' if cell.against else ''}{percent(share)}"
    page.text((x, bottom + size * (0.75 + LINE * 0.9)), words, size, ink=MUTED)


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


def _untangled(tree: Graph, rows: list[list[Cell]]) -> list[list[Cell]]:
    """The rows with each feature as nearly below those it supports as can be."""
    cells = {cell.feature.key: cell for row in rows for cell in row}
    links = {
        (parent.key, edge.child.key): edge.share for parent in tree.features.values() for edge in parent.edges or ()
    }
    return [[cells[key] for key in row] for row in untangled([[c.feature.key for c in row] for row in rows], links)]


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


def _support(tree: Graph, places: Mapping[Key, Point], flow: Mapping[Key, float]) -> list[Line]:
    shown = [
        (parent, edge, flow[parent.key] * edge.share)
        for parent in [tree.decision, *tree.features.values()]
        for edge in parent.edges or ()
        if parent.key in flow and parent.key in places and edge.child.key in places
    ]
    most = {
        parent.stage: max(weight for above, _, weight in shown if above.stage == parent.stage) for parent, *_ in shown
    }
    return [
        Line(parent.key, edge.child.key, DOUBT if edge.disagrees else FLOW,
             max(1.0, THICKEST * weight / (most[parent.stage] or 1.0)))
        for parent, edge, weight in shown
    ]  # fmt: skip


def _opposition(tree: Graph, rows: Sequence[Sequence[Cell]]) -> list[Line]:
    ratio = THICKEST * tree.decision.contra / max(tree.decision.pro, 1e-30)
    return [
        Line(tree.decision.key, cell.feature.key, AGAINST, min(THICKEST, max(1.0, cell.edge.share * ratio)))
        for cell in (rows[0] if rows else ())
        if cell.against
    ]


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
    """ " = 31.2 for − 12.5 against − 3.1 from biases"."""
    decision = tree.decision
    if decision.edges is None:
        return ""
    biases = f"{'−' if decision.offset < 0 else '+'} {number(abs(decision.offset))} from biases"
    return f" = {number(decision.pro)} for − {number(decision.contra)} against {biases}"


def _caption(tree: Graph, rows: Sequence[Sequence[Cell]], *, looked: bool) -> str:
    said = [
        (
            "Below each feature: its channel, and the share of the decision that flows through it "
            f"(rule {tree.parameters.get('rule')})."
        ),
        _coverage(tree, rows),
        ("Each crop is what the neuron can see, with the evidence in color; the boxes are the crops of the first row."),
    ]
    if looked:
        kinds = {f.pattern.kind for f in tree.features.values() if f.pattern}
        said.append(
            f"Below each crop: the pattern that drives the neuron ({', '.join(sorted(kinds))}), which is not evidence. "
            "Bold boxes hold 95 % of it."
        )
    if tree.decision.opponents:
        said.append("Blue: against the decision.")
    if any(edge.disagrees for edge in _all_edges(tree)):
        said.append("Red line: removing the channel does not lower what it was found to support.")
    if any(_is_hatched(tree, cell.feature) for row in rows for cell in row):
        said.append("Hatched areas were not seen by the network.")
    return " ".join([*filter(None, said), *(f"{note[:1].upper()}{note[1:]}." for note in tree.notes)])


def _coverage(tree: Graph, rows: Sequence[Sequence[Cell]]) -> str:
    """ "Shown features cover 15 % (layer4) and 1 % (layer3) of the decision."."""
    flow = tree.flow()
    each = [
        f"{percent(sum(flow[cell.feature.key] for cell in row if not cell.against))} ({row[0].feature.layer})"
        for row in rows
    ]
    if not each:
        return ""
    listed = each[0] if len(each) == 1 else f"{', '.join(each[:-1])} and {each[-1]}"
    return f"Shown features cover {listed} of the decision."


def _all_edges(tree: Graph) -> list[Support]:
    return [edge for parent in [tree.decision, *tree.features.values()] for edge in parent.edges or ()]


def _is_hatched(tree: Graph, feature: Vertex) -> bool:
    """Whether its crop shows some of what was cropped away."""
    (x0, y0, x1, y1), seen = crop_of(tree, feature), tree.photo.geometry.seen
    return x0 < seen[0] - 1 or y0 < seen[1] - 1 or x1 > seen[2] + 1 or y1 > seen[3] + 1

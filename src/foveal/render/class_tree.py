"""How a class is put together, on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.feature import feature_picture
from foveal.render.figures import LINE, MUTED
from foveal.render.overlay import INK
from foveal.render.page_layout import Page
from foveal.render.text import shorten, wrap
from foveal.render.tree_lines import FLOW, THICKEST, Line, draw_lines, untangled
from foveal.render.tree_words import count
from foveal.render.tree_words import percent as _percent

if TYPE_CHECKING:
    from foveal.render.drawable import Channel, JoinedGraphs, SharedChannel
    from foveal.render.page_layout import Point

SHOWN = 3  # examples, one below the other


def class_tree_page(joined: JoinedGraphs, *, most: int = 8, side: int = 120) -> Page:
    """A row a stage: the channels that carry most, what they see in the images where they carry most."""
    stages = joined.trees[0].stages
    members = list(joined.members.values())
    rows = [[m for m in members if m.stage == stage][:most] for stage in reversed(range(len(stages)))]
    rows = _untangled(joined, [row for row in rows if row])
    size, gap, between, left = side / 8, side / 6, side * 0.7, side * 0.9
    words = 2 * size * LINE
    deep = [side * max(min(SHOWN, len(member.examples)) for member in row) + words for row in rows]
    width = round(left + max((len(row) for row in rows), default=1) * (side + gap) + gap)
    targets = list(dict.fromkeys(tree.target for tree in joined.trees))
    named = ", ".join(targets[:4]) + (f" and {len(targets) - 4} more" if len(targets) > 4 else "")
    head = wrap(f"{named}: {count(len(joined.trees), 'image')}, {joined.trees[0].model}", size * 1.5, width)
    foot = wrap(
        "Below each channel: the share of the decisions that flows through it (mean over the images), and in how many "
        "images it was found. The crops show the receptive field of the neuron in the images where its share is "
        "largest.",
        size, width,
    )  # fmt: skip
    top = size + len(head) * size * 1.5 * LINE
    height = round(top + sum(deep) + len(rows) * between + size * (2 + len(foot) * LINE))
    page = Page(width + round(2 * size), height)
    for i, line in enumerate(head):
        page.text((size, size + i * size * 1.5 * LINE), line, size * 1.5, ink=INK, anchor="la")
    middle = left + (width - left) / 2
    root = (middle, top)
    places: dict[Channel, Point] = {}
    for i, row in enumerate(rows):
        y = top + sum(deep[:i]) + (i + 1) * between
        name = shorten(row[0].layer, size * 1.1, left - size * 2)
        page.text((size, y + side / 2), name, size * 1.1, ink=INK, anchor="lm")
        start = middle - (len(row) * (side + gap) - gap) / 2 + side / 2
        for k, member in enumerate(row):
            places[member.stage, member.channel] = (start + k * (side + gap), y)
    _lines(page, joined, places, root, side)
    for row in rows:
        for member in row:
            _cell(page, joined, member, places[member.stage, member.channel], side, size)
    for i, line in enumerate(foot):
        page.text((size, height - size - (len(foot) - i) * size * LINE), line, size, ink=MUTED, anchor="la")
    return page


def _untangled(joined: JoinedGraphs, rows: list[list[SharedChannel]]) -> list[list[SharedChannel]]:
    """The rows with each channel as nearly below those it supports as can be."""
    keys = [[(member.stage, member.channel) for member in row] for row in rows]
    return [[joined.members[key] for key in row] for row in untangled(keys, joined.links)]


def _cell(page: Page, joined: JoinedGraphs, member: SharedChannel, at: Point, side: int, size: float) -> None:
    x, y = at
    for k, (number, edge) in enumerate(member.examples[:SHOWN]):
        tree = joined.trees[number]
        page.place((x - side / 2, y + k * side), feature_picture(tree, edge, side=side), alt=edge.child.name)
    bottom, images = y + min(SHOWN, len(member.examples)) * side, len(joined.trees)
    found = f"{_percent(member.share)}, {round(member.presence * images)} of {images}"
    page.text((x, bottom + size * 0.75), f"channel {member.channel}", size * 0.9, ink=INK)
    page.text((x, bottom + size * (0.75 + LINE * 0.85)), found, size * 0.9, ink=MUTED)


def _lines(page: Page, joined: JoinedGraphs, places: dict[Channel, Point], root: Point, side: float) -> None:
    """From the words below a channel to what supports it; the thickest of each level carries most of that level."""
    decision = (len(joined.trees[0].stages), -1)
    size = side / 8
    below = {
        key: (x, y + min(SHOWN, len(joined.members[key].examples)) * side + 2 * size * LINE)
        for key, (x, y) in places.items()
    }
    shown = [
        (parent, child, carried)
        for (parent, child), carried in joined.links.items()
        if child in places and (parent in places or parent == decision)
    ]
    most = {parent[0]: max(other for above, _, other in shown if above[0] == parent[0]) for parent, *_ in shown}
    lines = [Line(parent, child, FLOW, max(1.0, THICKEST * carried / (most[parent[0]] or 1.0)))
             for parent, child, carried in shown]  # fmt: skip
    draw_lines(page, lines, {**below, decision: root}, places, room=side * 0.7)

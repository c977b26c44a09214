"""How a class is put together, on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.feature import feature_picture
from foveal.render.figures import LINE, MUTED
from foveal.render.overlay import INK
from foveal.render.page_layout import Page
from foveal.render.text import shorten, wrap
from foveal.render.tree import FLOW, THICKEST

if TYPE_CHECKING:
    from foveal.render.drawable import Channel, JoinedGraphs, SharedChannel
    from foveal.render.page_layout import Point

SHOWN = 3  # examples, one below the other


def class_tree_page(joined: JoinedGraphs, *, most: int = 8, side: int = 120) -> Page:
    """A row a stage: the channels that carry most, what they see in the pictures where they carry most."""
    stages = joined.trees[0].stages
    members = list(joined.members.values())
    rows = [[m for m in members if m.stage == stage][:most] for stage in reversed(range(len(stages)))]
    rows = [row for row in rows if row]
    size, gap, between, left = side / 8, side / 6, side * 0.7, side * 0.9
    deep = side * SHOWN + size * LINE
    width = round(left + max((len(row) for row in rows), default=1) * (side + gap) + gap)
    targets = list(dict.fromkeys(tree.target for tree in joined.trees))
    named = ", ".join(targets[:4]) + (f" and {len(targets) - 4} more" if len(targets) > 4 else "")
    head = wrap(f"{named}: {len(joined.trees)} pictures, by {joined.trees[0].model}", size * 1.5, width)
    foot = wrap(
        "Channel, the share of the decisions that flows through it on the mean, and in how many of the pictures it was "
        "found. Below one another: the pictures in which it carries most, each cut to what the neuron sees.",
        size, width,
    )  # fmt: skip
    top = size + len(head) * size * 1.5 * LINE
    height = round(top + len(rows) * (deep + between) + size * (2 + len(foot) * LINE))
    page = Page(width + round(2 * size), height)
    for i, line in enumerate(head):
        page.text((size, size + i * size * 1.5 * LINE), line, size * 1.5, ink=INK, anchor="la")
    middle = left + (width - left) / 2
    root = (middle, top)
    places: dict[Channel, Point] = {}
    for i, row in enumerate(rows):
        y = top + between + i * (deep + between)
        name = shorten(row[0].layer, size * 1.1, left - size * 2)
        page.text((size, y + side / 2), name, size * 1.1, ink=INK, anchor="lm")
        start = middle - (len(row) * (side + gap) - gap) / 2 + side / 2
        for k, member in enumerate(row):
            places[member.stage, member.channel] = (start + k * (side + gap), y)
    _lines(page, joined, places, root, deep)
    for row in rows:
        for member in row:
            _cell(page, joined, member, places[member.stage, member.channel], side, size)
    for i, line in enumerate(foot):
        page.text((size, height - size - (len(foot) - i) * size * LINE), line, size, ink=MUTED, anchor="la")
    return page


def _cell(page: Page, joined: JoinedGraphs, member: SharedChannel, at: Point, side: int, size: float) -> None:
    x, y = at
    for k, (number, edge) in enumerate(member.examples[:SHOWN]):
        tree = joined.trees[number]
        page.place((x - side / 2, y + k * side), feature_picture(tree, edge, side=side), alt=edge.child.name)
    said = f"{member.channel}: {100 * member.share:.1f} %, in {100 * member.presence:.0f} %"
    page.text((x, y + min(SHOWN, len(member.examples)) * side + size * 0.75), said, size * 0.9, ink=MUTED)


def _lines(page: Page, joined: JoinedGraphs, places: dict[Channel, Point], root: Point, deep: float) -> None:
    decision = (len(joined.trees[0].stages), -1)
    shown = [
        (parent, child, carried)
        for (parent, child), carried in joined.links.items()
        if child in places and (parent in places or parent == decision)
    ]
    for parent, child, carried in sorted(shown, key=lambda one: one[2]):
        most = max(other for above, _, other in shown if above[0] == parent[0])
        x, y = places.get(parent, root)
        start = root if parent == decision else (x, y + deep)
        page.line(start, places[child], FLOW, max(1.0, THICKEST * carried / most))

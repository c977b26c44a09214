"""How a class is put together, on one page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from foveal.render.feature import feature_picture
from foveal.render.figures import LINE, MUTED, sentence
from foveal.render.overlay import INK
from foveal.render.page_layout import Page
from foveal.render.text import shorten, wrap
from foveal.render.tree_lines import AGAINST, FLOW, THICKEST, Line, draw_lines, untangled
from foveal.render.tree_words import count, percent

if TYPE_CHECKING:
    from PIL import Image

    from foveal.render.drawable_trees import BestExample, Graph, JoinedGraphs, SharedFeature, SharedPlace
    from foveal.render.page_layout import Point

SHOWN = 3  # examples, one below the other
LEADING = 3  # channels that a part is told by
CAPTIONS = {
    "channel": "Below each channel: the share of the decisions that flows through it (mean over the images and half of "
    "its 95 % interval), and in how many images it was found. The crops show the receptive field of the neuron in the "
    "images where its share is largest.",
    "part": "Below each part: the share of the decisions that it holds (mean over the images and half of its 95 % "
    "interval), in how many images it was found, and the channels that hold most of it. A part found in one image is "
    "like none in the others. Blue speaks against the decision. The crops show where the part lies in the images where "
    "most flows through it.",
}
REST = "Rest: what features of that stage hold that are not shown. Lines are as thick as what flows along them."


def class_tree_page(joined: JoinedGraphs, *, most: int = 8, side: int = 120) -> Page:
    """A row a stage: the features that hold most, what they see in the images where most flows through them."""
    stages = joined.trees[0].stages
    members = list(joined.members.values())
    rows = [[m for m in members if m.stage == stage][:most] for stage in reversed(range(len(stages)))]
    rows = _untangled(joined, [row for row in rows if row])
    size, gap, between, left = side / 8, side / 6, side * 0.7, side * 0.9
    deep = [side * max(min(SHOWN, len(member.examples)) for member in row) + _words(row[0], size) for row in rows]
    width = round(left + max((len(row) for row in rows), default=1) * (side + gap) + gap)
    title = f"{joined.target}: {count(len(joined.trees), 'image')}, {joined.trees[0].model}"
    head = wrap(title, size * 1.5, width)
    caption = CAPTIONS[members[0].kind if members else "channel"]
    foot = wrap(" ".join([caption, REST, *map(sentence, joined.cautions)]), size, width)
    top = size + len(head) * size * 1.5 * LINE
    height = round(top + sum(deep) + len(rows) * between + size * (2 + len(foot) * LINE))
    page = Page(width + round(2 * size), height)
    for i, line in enumerate(head):
        page.text((size, size + i * size * 1.5 * LINE), line, size * 1.5, ink=INK, anchor="la")
    middle = left + (width - left) / 2
    root = (middle, top)
    places: dict[SharedPlace, Point] = {}
    for i, row in enumerate(rows):
        y = top + sum(deep[:i]) + (i + 1) * between
        name = shorten(row[0].layer, size * 1.1, left - size * 2)
        page.text((size, y + side / 2), name, size * 1.1, ink=INK, anchor="lm")
        rest = 1 - sum(member.share for member in row)
        page.text((size, y + side / 2 + size * LINE), f"rest {_whole(rest)}", size * 0.9, ink=MUTED, anchor="lm")
        start = middle - (len(row) * (side + gap) - gap) / 2 + side / 2
        for k, member in enumerate(row):
            places[member.stage, member.number] = (start + k * (side + gap), y)
    _lines(page, joined, places, root, side)
    for row in rows:
        for member in row:
            _cell(page, joined, member, places[member.stage, member.number], side, size)
    for i, line in enumerate(foot):
        page.text((size, height - size - (len(foot) - i) * size * LINE), line, size, ink=MUTED, anchor="la")
    return page


def example_picture(tree: Graph, example: BestExample, side: int, *, against: bool | None = None) -> Image.Image:
    """The crop with what is for the decision, or against it where the example is or the caller says so."""
    against = example.carried < 0 if against is None else against
    return feature_picture(
        tree, example.edge, side=side, against=against, flipped=(example.edge.mass < 0) is not against
    )


def _untangled(joined: JoinedGraphs, rows: list[list[SharedFeature]]) -> list[list[SharedFeature]]:
    """The rows with each feature as nearly below those it supports as can be."""
    keys = [[(member.stage, member.number) for member in row] for row in rows]
    links = {link: abs(carried) for link, carried in joined.links.items()}
    return [[joined.members[key] for key in row] for row in untangled(keys, links)]


def _words(member: SharedFeature, size: float) -> float:
    """Pixels that the words below a feature take."""
    return (3 if member.kind == "part" else 2) * size * LINE


def _cell(page: Page, joined: JoinedGraphs, member: SharedFeature, at: Point, side: int, size: float) -> None:
    x, y = at
    for k, example in enumerate(member.examples[:SHOWN]):
        picture = example_picture(joined.trees[example.image], example, side)
        page.place((x - side / 2, y + k * side), picture, alt=example.edge.child.name)
    bottom, images = y + min(SHOWN, len(member.examples)) * side, len(joined.trees)
    if member.share < 0:
        page.frame((x - side / 2, y, x + side / 2, bottom), AGAINST, 2)
    lines = [(member.label, INK, 0.9), (f"{_spread(member)}, {member.found} of {images}", MUTED, 0.9)]
    if member.kind == "part":
        channels = f"channels {', '.join(map(str, member.channels[:LEADING]))}"
        lines.append((shorten(channels, size * 0.75, side * 1.1), MUTED, 0.75))
    for i, (line, ink, height) in enumerate(lines):
        page.text((x, bottom + size * (0.75 + i * LINE * 0.85)), line, size * height, ink=ink)


def _spread(member: SharedFeature) -> str:
    """ "45 ± 6 %"; "45 %" of a single image."""
    if not math.isfinite(member.half):
        return percent(member.share)
    digits = 0 if max(abs(member.share), member.half) >= 0.1 and member.half >= 0.01 else 1
    return f"{100 * member.share:.{digits}f} ± {100 * member.half:.{digits}f} %".replace("-", "−")


def _whole(share: float) -> str:
    """ "3 %", "−12 %", "0 %"."""
    return f"{round(100 * share)} %".replace("-", "−")


def _lines(page: Page, joined: JoinedGraphs, places: dict[SharedPlace, Point], root: Point, side: float) -> None:
    """From the words below a feature to what supports it; the thickest of each level carries most of that level."""
    decision = (len(joined.trees[0].stages), -1)
    size = side / 8
    below = {
        key: (x, y + min(SHOWN, len(joined.members[key].examples)) * side + _words(joined.members[key], size))
        for key, (x, y) in places.items()
    }
    shown = [
        (parent, child, carried)
        for (parent, child), carried in joined.links.items()
        if child in places and (parent in places or parent == decision)
    ]
    most = {parent[0]: max(abs(other) for above, _, other in shown if above[0] == parent[0]) for parent, *_ in shown}
    lines = [
        Line(parent, child, AGAINST if carried < 0 else FLOW,
             max(1.0, THICKEST * abs(carried) / (most[parent[0]] or 1.0)))
        for parent, child, carried in shown
    ]  # fmt: skip
    draw_lines(page, lines, {**below, decision: root}, places, room=side * 0.7)

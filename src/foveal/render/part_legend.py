"""How to read a poster of parts: each sign once, with what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.figures import LINE, MUTED
from foveal.render.overlay import INK
from foveal.render.reference_words import reference_words
from foveal.render.scale import number
from foveal.render.text import wrap
from foveal.render.tree_lines import AGAINST, FOR, UNCONFIRMED

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from foveal.render.drawable_trees import Graph
    from foveal.render.page_layout import Color, Page, Point


def draw_legend(page: Page, tree: Graph, corner: Point, width: float, size: float, colors: Set[Color]) -> None:
    """A line a sign, from the corner down; `colors` are those on the page."""
    x, y = corner
    indent = size * 2.6
    for kind, color, text in _signs(tree, colors):
        if kind == "line":
            page.line((x, y + size * 0.7), (x + size * 2, y + size * 0.7), color, size * 0.35)
        elif kind == "frame":
            page.frame((x + size * 0.3, y, x + size * 1.7, y + size * 1.4), color, 2)
        for line in wrap(text, size, width - indent):
            page.text((x + indent, y + size * 0.7), line, size, ink=INK if kind == "frame" else MUTED, anchor="lm")
            y += size * LINE
        y += size * 0.5


def _signs(tree: Graph, colors: Set[Color]) -> Iterator[tuple[str, Color, str]]:
    decision = tree.decision
    yield "frame", FOR, "for the decision: inside the line lies half of the part's evidence, or more"
    if AGAINST in colors:
        yield "frame", AGAINST, "against the decision"
    yield "line", FOR, "what the lower part brings to the upper; the thicker, the more of the decision"
    if UNCONFIRMED in colors:
        yield "line", UNCONFIRMED, "the measured effect of removing the lower part has the other sign"
    if decision.edges is not None and reference_words(tree.parameters) is not None:
        taken = number(decision.value - decision.offset)
        yield "none", MUTED, f"100 % = {taken}: the score less that of {reference_words(tree.parameters)}"
    elif decision.edges is not None:
        yield "none", MUTED, f"100 % = the score, {number(decision.value)}"

"""What is said of a part on the poster and in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.reference_words import reference_words
from foveal.render.tree_words import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.render.drawable_trees import Graph, Key, Support, Vertex
    from foveal.render.tree_rows import Cell

PARENTS = 2  # that are named
LEAST = 0.005  # of the decision, for a parent to be named


def card_lines(tree: Graph, cell: Cell, flow: Mapping[Key, float]) -> list[tuple[str, bool]]:
    """The words below a card, with whether they stand out.

    "part 2 of layer3", "21 % of the decision", "31 % of part 1, 12 % of part 3", "without it −28 % of part 1",
    "biases 12 %".
    """
    feature = cell.feature
    carried = flow.get(feature.key, 0.0)
    share = f"{'against: ' if carried < 0 else ''}{brief(abs(carried))} of the decision"
    lines = [(named(feature), True), (share, True)]
    if feature.stage < len(tree.stages) - 1:
        lines.append((_parents(tree, feature, flow), False))
    if cell.edge.effect is not None:
        lines.append((_measured(tree, cell.edge), False))
    if (biases := bias_words(tree, feature)) is not None:
        lines.append((biases, False))
    return lines


def named(feature: Vertex) -> str:
    """ "part 2 of layer3"."""
    return f"part {(feature.part or 0) + 1} of {feature.layer}"


def bias_words(tree: Graph, feature: Vertex) -> str | None:
    """ "biases 12 %", of its value; None where a reference takes their place, or its own parts are not known."""
    share = feature.bias_share
    if share is None or reference_words(tree.parameters) is not None:
        return None
    return f"biases {brief(share)}"


def row_words(tree: Graph, row: Sequence[Vertex], flow: Mapping[Key, float]) -> str:
    """What the parts of a row are, to its left."""
    held = brief(sum(flow[feature.key] for feature in row))
    if row[0].stage == len(tree.stages) - 1:
        return f"the parts of the decision; together {held} of it"
    above = tree.stages[row[0].stage + 1].name
    return f"what the parts of {above} are made of; together {held} of the decision"


def _measured(tree: Graph, edge: Support) -> str:
    """ "without it −28 % of part 1", the part that it brings most to; of the decision no name."""
    parent = next((f for f in tree.features.values() if any(own is edge for own in f.edges or ())), None)
    effect = edge.effect or 0.0
    lost = f"without it {'+' if effect < 0 else ''}{brief(-effect)}"
    return lost if parent is None else f"{lost} of part {(parent.part or 0) + 1}"


def _parents(tree: Graph, feature: Vertex, flow: Mapping[Key, float]) -> str:
    """ "31 % of part 1, 12 % of part 3", those through which most of the decision comes first."""
    ways = [
        (abs(flow[parent.key] * edge.share), edge.share, parent)
        for parent in tree.features.values()
        for edge in parent.edges or ()
        if edge.child is feature and parent.key in flow
    ]
    ways.sort(key=lambda way: -way[0])
    named = [way for way in ways[:PARENTS] if way[0] >= LEAST] or ways[:1]
    return ", ".join(f"{brief(share)} of part {(parent.part or 0) + 1}" for _, share, parent in named)

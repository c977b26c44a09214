"""A tree as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.part_words import bias_words
from foveal.render.reference_words import reference_words

if TYPE_CHECKING:
    from foveal.render.drawable_trees import Graph
    from foveal.results.feature_graph import Edge, Feature, Node


def tree_text(tree: Graph, root: Node) -> str:
    """A line a node, indented by level; does not grow the tree."""
    lines = []

    def tell(node: Node, indent: int) -> None:
        if node.edge:
            said = f"{node}{_measured(node.edge)}{_biases(tree, node.feature)}"
        else:
            said = f"score {tree.decision.value:.4g}{_compared(tree)}"
        lines.append("  " * indent + said)
        if node.feature.edges:
            for child in node.children:
                tell(child, indent + 1)

    tell(root, 0)
    return "\n".join(lines)


def change(effect: float) -> str:
    """What becomes of a score that is lowered by a share of it: "−7.7 %" for 0.077."""
    said = f"{100 * effect:.1f}"
    sign = "±" if float(said) == 0 else "−" if effect > 0 else "+"
    return f"{sign}{said.lstrip('-')} %"


def _measured(edge: Edge) -> str:
    """What becomes of the parent without it; of a part, also on the average of which other parts are there."""
    if edge.effect is None:
        return ""
    average = "" if edge.average is None else f" (on average {change(edge.average)})"
    return f", without it {change(edge.effect)}{average}"


def _biases(tree: Graph, feature: Feature) -> str:
    """ ", biases 12 %" of a part that was looked into, by rules that lose some to them."""
    words = bias_words(tree, feature) if feature.part is not None else None
    return f", {words}" if words else ""


def _compared(tree: Graph) -> str:
    """ " less 1.162 of the reference (the same image, blurred)"; nothing for trees that compare with none."""
    reference = reference_words(tree.parameters)
    if reference is None or tree.decision.edges is None:
        return ""
    return f" less {f'{tree.decision.offset:.4g}'.replace('-', '−')} of the reference ({reference})"

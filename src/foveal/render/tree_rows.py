"""Which features of a tree a page shows, stage by stage, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foveal.render.tree_lines import untangled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.render.drawable_trees import Graph, Key, Support, Vertex


@dataclass(frozen=True)
class Cell:
    """A feature on the page, by the edge that carries most to it.

    Attributes:
        edge: to it.
        against: it speaks against the decision.
        opponent: it was looked for as an opponent of the decision, so its edge counts what it takes away.
        flipped: the map of its edge counts for the decision with the other sign.
    """

    edge: Support
    against: bool = False
    opponent: bool = False
    flipped: bool = False

    @property
    def feature(self) -> Vertex:
        return self.edge.child


def rows_of(tree: Graph, most: int) -> list[list[Cell]]:
    """The `most` strongest features of each stage, the last stage first, as nearly below their parents as can be."""
    return _untangled(tree, _rows(tree, most))


def _rows(tree: Graph, most: int) -> list[list[Cell]]:
    """The features shown, the last stage first, the strongest to the left; there also what opposes the decision."""
    flow, incoming = tree.flow(), _strongest(tree)
    rows = []
    for stage in reversed(range(len(tree.stages))):
        features = [f for f in tree.features.values() if f.stage == stage and f.key in flow]
        if features:
            best = sorted(features, key=lambda f: -abs(flow[f.key]))[:most]
            best.sort(key=lambda f: -flow[f.key])
            rows.append([_cell_of(*incoming[f.key], carried=flow[f.key]) for f in best])
    if rows:
        shown = {cell.feature.key for cell in rows[0]}
        opponents = [edge for edge in tree.decision.opponents if edge.child.key not in shown]
        rows[0] += [Cell(edge, against=True, opponent=True, flipped=True) for edge in opponents]
    return rows


def _untangled(tree: Graph, rows: list[list[Cell]]) -> list[list[Cell]]:
    """The rows with each feature as nearly below those it supports as can be; those against the decision come last."""
    cells = {cell.feature.key: cell for row in rows for cell in row}
    links = {
        (parent.key, edge.child.key): abs(edge.share)
        for parent in tree.features.values()
        for edge in parent.edges or ()
    }
    ordered = untangled([[cell.feature.key for cell in row] for row in rows], links)
    return [sorted((cells[key] for key in row), key=lambda cell: cell.against) for row in ordered]


def _cell_of(edge: Support, above: float, *, carried: float) -> Cell:
    """By an edge from a vertex that `above` of the decision flows through; `carried` through the feature itself."""
    return Cell(edge, against=carried < 0, flipped=(edge.mass < 0) is not (above * edge.share < 0))


def _strongest(tree: Graph) -> Mapping[Key, tuple[Support, float]]:
    """Vertex -> the edge to it that is strongest, and the share of the decision that flows through its parent.

    Of a part, the edge that carries most of the decision, for a part that supports it, or most against it.
    """
    flow = tree.flow()
    strongest: dict[Key, tuple[float, Support, float]] = {}
    for parent in [tree.decision, *tree.features.values()]:
        above = flow.get(parent.key, 0.0)
        for edge in parent.edges or ():
            key = edge.child.key
            side = -1 if flow.get(key, 0.0) < 0 else 1
            weight = edge.share if edge.child.part is None else side * above * edge.share
            if key not in strongest or weight > strongest[key][0]:
                strongest[key] = (weight, edge, above)
    return {key: (edge, above) for key, (_, edge, above) in strongest.items()}

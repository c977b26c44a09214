"""How a tree of supporting features is built."""

from __future__ import annotations

from dataclasses import dataclass

from foveal.engine.graph import recording
from foveal.errors import MethodError, UnknownMethod
from foveal.hierarchy.contribution_rules import RULES
from foveal.hierarchy.feature_value import NODES

RANKS = ("sum", "max")


@dataclass(frozen=True)
class TreeSettings:
    """How a tree of supporting features is built.

    Raises:
        MethodError: for values that do not fit.

    Attributes:
        branching: children of a node, at most.
        coverage: children are taken until they hold this share together.
        rule: "pool_up", "exact" or "window"; see `hierarchy.contribution_rules`.
        gate: keep the decision's own features where Grad-CAM reaches half of its maximum.
        rank_by: "sum" or "max" of a channel's contributions.
        merge: channels whose contributions lie in the same places become one.
        nodes: what features stand for: "neurons", "sums" or "maps"; see `hierarchy.feature_value`.
        opponents: how many features that speak against a node are found beside its children.
    """

    branching: int = 5
    coverage: float = 1.0
    rule: str = "pool_up"
    gate: bool = True
    rank_by: str = "sum"
    merge: bool = False
    nodes: str = "neurons"
    opponents: int = 0

    @recording
    def __post_init__(self) -> None:
        known = {"rule": (*RULES,), "rank_by": RANKS, "nodes": NODES}
        for option, values in known.items():
            if getattr(self, option) not in values:
                raise UnknownMethod(f"{option}={getattr(self, option)!r} is unknown: give {', '.join(values)}")
        if self.branching < 1 or not 0 < self.coverage <= 1 or self.opponents < 0:
            raise MethodError(
                f"branching={self.branching}, coverage={self.coverage}, opponents={self.opponents}: give a "
                "branching of at "
                "least 1, a coverage above 0 and up to 1, and opponents of at least 0"
            )

"""How a tree of supporting features is built."""

from __future__ import annotations

from dataclasses import dataclass

from foveal.engine.graph import recording
from foveal.errors import MethodError, UnknownMethod
from foveal.hierarchy.contribution_rules import RULES
from foveal.hierarchy.feature_value import NODES

RANKS = ("sum", "max")
PARTS = "parts"
AUTO_PARTS, AUTO_SHARE = 5, 0.9  # of branching="auto"


@dataclass(frozen=True)
class TreeSettings:
    """How a tree of supporting features is built.

    Raises:
        MethodError: for values that do not fit.

    Attributes:
        branching: children of a node, at most; "auto" for as few as hold the share `coverage` (0.9 where it is 1).
        coverage: children are taken until they hold this share together.
        rule: "pool_up", "exact" or "window", see `hierarchy.contribution_rules`; of parts, what carries contributions
            back: "difference" or the name of a method with rules.
        gate: keep the decision's own features where Grad-CAM reaches half of its maximum.
        rank_by: "sum" or "max" of a channel's contributions.
        merge: channels whose contributions lie in the same places become one.
        nodes: what features stand for: "neurons", "sums" or "maps", see `hierarchy.feature_value`; or "parts", see
            `hierarchy.part_expansion`.
        opponents: how many features that speak against a node are found beside its children.
    """

    branching: int | str = 5
    coverage: float = 1.0
    rule: str = "pool_up"
    gate: bool = True
    rank_by: str = "sum"
    merge: bool = False
    nodes: str = "neurons"
    opponents: int = 0

    @recording
    def __post_init__(self) -> None:
        known = {"rank_by": RANKS, "nodes": (*NODES, PARTS)} | ({} if self.nodes == PARTS else {"rule": (*RULES,)})
        for option, values in known.items():
            if getattr(self, option) not in values:
                raise UnknownMethod(f"unknown {option}={getattr(self, option)!r}: choose {', '.join(values)}")
        if isinstance(self.branching, str) and self.branching != "auto":
            raise UnknownMethod(f"branching is a number of children or 'auto', not {self.branching!r}")
        self._check_parts()
        if self.most_children < 1 or not 0 < self.coverage <= 1 or self.opponents < 0:
            raise MethodError(
                f"branching={self.branching}, coverage={self.coverage}, opponents={self.opponents}: branching must be "
                "1 or more, coverage above 0 and at most 1, opponents 0 or more"
            )

    def _check_parts(self) -> None:
        """Options of channels say nothing about parts."""
        given = {
            "merge=True": self.merge,
            f"opponents={self.opponents}": self.opponents > 0,
            f"rank_by={self.rank_by!r}": self.rank_by != RANKS[0],
        }
        for option, is_given in given.items():
            if self.nodes == PARTS and is_given:
                raise MethodError(
                    f"{option} is not for nodes='parts', which are groups of channels for and against: leave it out"
                )

    @property
    def most_children(self) -> int:
        """Of a node; no limit where the share decides."""
        return 2**31 if isinstance(self.branching, str) else self.branching

    @property
    def least_held(self) -> float:
        """The share of a node at which its children are enough."""
        return AUTO_SHARE if isinstance(self.branching, str) and self.coverage == 1 else self.coverage

    def part_count(self, level: int) -> int:
        """Parts of a stage, `level` stages below the last: one more at each, as several parents share them."""
        return (AUTO_PARTS if isinstance(self.branching, str) else self.branching) + level

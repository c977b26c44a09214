"""Rules for the backward pass, at the level of operations."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from foveal.decisions import Verdict
    from foveal.passes import Passed


class Rules(Protocol):
    """What the backward pass does where it does not follow the derivative. Hashable: equal rules share a pass."""

    def mode(self) -> RulesMode:
        """In which the forward runs, so that the backward follows the rules."""
        ...

    def start(self, verdict: Verdict, output: Any) -> Tensor:
        """(n,), what the backward starts from; the score mostly."""
        ...

    def account(self, passed: Passed, measured: dict[str, Any], cautions: list[str]) -> None:
        """What a reader should know of how the rules held."""
        ...


class RulesMode(AbstractContextManager[Any], Protocol):
    """One forward and its backward under rules."""

    def lost(self, n: int) -> Tensor | None:
        """(n,), what did not arrive at any neuron, where that is counted."""
        ...

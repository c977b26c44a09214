"""Scores of copies from which one value is read alone, and is not a mean over many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

Ask = Callable[[Tensor], Tensor]


@runtime_checkable
class RoundedScore(Protocol):
    """Whoever may round the scores of altered copies, and can do without."""

    def exactly(self, x: Tensor) -> Tensor:
        """Scores (k,) of inputs (k, c, h, w), not rounded."""


def exactly(ask: Ask) -> Ask:
    """The same scores, not rounded."""
    return ask.exactly if isinstance(ask, RoundedScore) else ask

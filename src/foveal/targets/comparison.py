"""Queries and what they were compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.similarity import Linear

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class Comparison:
    """n queries and what they were compared with, as far as it explains their scores.

    Attributes:
        query: (n, d), or (n, d, h, w) where places are compared; attached to the graph.
        described: the same in the space whose channels are weighed (`Metric.described`), attached.
        contributions: (n, e), what each channel adds to the score: Σ_j a_ij p_ij. Detached.
        linear: the score as a linear function of the query.
        margin: (n, e), what each channel adds to the decision less the runner-up, where there is one.
    """

    query: Tensor
    described: Tensor
    contributions: Float[Tensor, "n e"]
    linear: Linear
    margin: Float[Tensor, "n e"] | None = None

    def detached(self) -> Comparison:
        """The same without its graph."""
        return replace(self, query=self.query.detach(), described=self.described.detach())

    def rows(self, start: int, stop: int) -> Comparison:
        """That of the queries from `start` to `stop`."""
        own = slice(start, stop)
        return Comparison(
            self.query[own],
            self.described[own],
            self.contributions[own],
            Linear(self.linear.weights[own], self.linear.remainder[own]),
            None if self.margin is None else self.margin[own],
        )

    @staticmethod
    def joined(parts: Sequence[Comparison]) -> Comparison:
        """One of those that `rows` cut it into."""
        margin = [part.margin for part in parts if part.margin is not None]
        return Comparison(
            torch.cat([part.query for part in parts]),
            torch.cat([part.described for part in parts]),
            torch.cat([part.contributions for part in parts]),
            Linear(torch.cat([p.linear.weights for p in parts]), torch.cat([p.linear.remainder for p in parts])),
            torch.cat(margin) if len(margin) == len(parts) else None,
        )

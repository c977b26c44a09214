"""How much of a query must be hidden until the ranking is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from foveal.errors import ResultError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class RankFlip:
    """A wrongly matched query, with positions hidden in the order of its margin map, measured by forward passes.

    Attributes:
        shares: (k,), of the image that was hidden, ascending.
        margins: (k,), similarity to the best wrong reference less that to the best right one, over all references.
        overtaken: (k,), whether a right reference was then more similar than the wrong first match.
        hidden: (H, W), of the network's input, the smallest set that makes the first match right; None where none did.
        pair_hidden: (H, W), likewise, the smallest set with which a right reference overtakes the wrong first match,
            whoever else is ahead; None where none did.
        draws: how many areas of the same size and shape elsewhere were tried.
        hits: how many of them made the first match right, too.
    """

    shares: Float[Tensor, " k"]
    margins: Float[Tensor, " k"]
    overtaken: Bool[Tensor, " k"]
    hidden: Bool[Tensor, "H W"] | None = None
    draws: int = 0
    hits: int = 0
    pair_hidden: Bool[Tensor, "H W"] | None = None

    def __post_init__(self) -> None:
        if not len(self.shares) == len(self.margins) == len(self.overtaken) > 0:
            raise ResultError("A ranking that flips needs a margin for each hidden share.")

    @property
    def share(self) -> float | None:
        """The smallest share of the image, 0 to 1, whose hiding makes the first match right; None where none did."""
        return _first(self.shares, self.margins < 0)

    @property
    def pair_share(self) -> float | None:
        """The same for the pair alone: a right reference overtakes the wrong first match, whoever else is ahead."""
        return _first(self.shares, self.overtaken)

    @property
    def limit(self) -> float:
        """The largest share that was tried."""
        return float(self.shares[-1])

    @property
    def summary(self) -> str:
        """The finding, as a person would say it."""
        if self.share is not None:
            chance = f"; an area of the same shape elsewhere does so in {self.hits} of {self.draws} draws"
            said = f"hiding {_percent(self.share)} of the image makes the first match right"
            return said + (chance if self.draws else "")
        if self.pair_share is not None:
            return (
                f"hiding {_percent(self.pair_share)} of the image puts the right reference ahead of this wrong one, "
                f"but another wrong one is then first (tried up to {_percent(self.limit)})"
            )
        return f"not flipped by hiding up to {_percent(self.limit)} of the image"


def _first(shares: Tensor, reached: Tensor) -> float | None:
    at = torch.nonzero(reached).flatten()
    return float(shares[at[0]]) if len(at) else None


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

"""Grouping what is similar: k-means, always the same for the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_ROUNDS = 20


def cluster(X: Float[Tensor, "m d"], k: int) -> Int[Tensor, " m"]:
    """The group, 0 … at most k − 1, of each row, none of them empty: Lloyd's k-means from k rows far apart."""
    centres = X[_far_apart(X, k)]
    group = _nearest(X, centres)
    for _ in range(_ROUNDS):
        members = torch.zeros(len(centres), len(X), dtype=X.dtype, device=X.device)
        members[group, torch.arange(len(X), device=X.device)] = 1
        size = members.sum(1, keepdim=True)
        centres = torch.where(size > 0, members @ X / size.clamp(min=1), centres)
        moved = _nearest(X, centres)
        if torch.equal(moved, group):
            break
        group = moved
    numbered: Tensor = group.unique(return_inverse=True)[1]
    return numbered


def _far_apart(X: Float[Tensor, "m d"], k: int) -> list[int]:
    """Rows of which each is the one farthest from those before; the first is nearest to the middle."""
    chosen = [int((X - X.mean(0)).square().sum(1).argmin())]
    distance = (X - X[chosen[0]]).square().sum(1)
    for _ in range(min(k, len(X)) - 1):
        chosen.append(int(distance.argmax()))
        distance = torch.minimum(distance, (X - X[chosen[-1]]).square().sum(1))
    return chosen


def _nearest(X: Float[Tensor, "m d"], centres: Float[Tensor, "k d"]) -> Int[Tensor, " m"]:
    return (centres.square().sum(1) - 2 * X @ centres.mT).argmin(1)

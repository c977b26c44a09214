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
    centers = X[_far_apart(X, k)]
    group = _nearest(X, centers)
    for _ in range(_ROUNDS):
        members = torch.zeros(len(centers), len(X), dtype=X.dtype, device=X.device)
        members[group, torch.arange(len(X), device=X.device)] = 1
        size = members.sum(1, keepdim=True)
        centers = torch.where(size > 0, members @ X / size.clamp(min=1), centers)
        moved = _nearest(X, centers)
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


def _nearest(X: Float[Tensor, "m d"], centers: Float[Tensor, "k d"]) -> Int[Tensor, " m"]:
    return (centers.square().sum(1) - 2 * X @ centers.mT).argmin(1)

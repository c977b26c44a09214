"""What a map is like, whatever it says: how few positions hold its evidence. Properties, not merits.

M is the map scaled to 0 … 1 (min–max, per image), zeros for a map that is the same everywhere. Specification:
metrics, section 6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


def unit(map: Float[Tensor, "*n h w"], *, axes: int = 2) -> Float[Tensor, "*n h w"]:
    """(S − min) / (max − min) for each image; zeros where all is the same. Space has the last `axes` axes."""
    map = map.detach()
    if not map.is_floating_point() or map.dtype.itemsize < 4:
        map = map.float()  # bytes would overflow
    space = tuple(range(-axes, 0))
    low, high = map.amin(space, keepdim=True), map.amax(space, keepdim=True)
    return torch.where(high > low, (map - low) / torch.where(high > low, high - low, 1), 0)


def complexity(map: Float[Tensor, "h w"]) -> float:
    """‖M‖₁ / (h w), 0 to 1; lower is simpler (Poppi et al., arXiv:2104.10252)."""
    return float(unit(map, axes=map.ndim).double().mean())


def sparsity(map: Float[Tensor, "h w"]) -> float:
    """max M / mean M: 1 for a map that is the same everywhere, h w for a single position (Gomez et al., 2201.13291)."""
    M = unit(map, axes=map.ndim).double()
    return float(M.max() / M.mean()) if bool(M.any()) else 1.0


def log_sparsity(map: Float[Tensor, "h w"]) -> float:
    """log of the sparsity over log(h w), 0 to 1: the same for maps of any size."""
    return math.log(sparsity(map)) / math.log(map.numel()) if map.numel() > 1 else math.nan


def gini(map: Float[Tensor, "h w"]) -> float:
    """Gini's index of the positive evidence: 0 where all positions have as much, 1 − 1/(h w) where one has all."""
    v = map.detach().double().clamp(min=0).flatten().sort().values
    n, total = len(v), float(v.sum())
    if total <= 0:
        return math.nan
    return float(((2 * torch.arange(1, n + 1).to(v) - n - 1) * v).sum() / (n * total))


def area_holding(map: Float[Tensor, "h w"], share: float = 0.5) -> float:
    """The least share of positions that holds this share of the positive evidence, 0 to 1; NaN where there is none."""
    v = map.detach().double().clamp(min=0).flatten().sort(descending=True).values.cumsum(0)
    if float(v[-1]) <= 0:
        return math.nan
    return (int((v < share * v[-1] * (1 - 1e-12)).sum()) + 1) / len(v)

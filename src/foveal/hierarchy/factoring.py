"""Contributions taken apart into parts: groups of channels at groups of positions, by non-negative factorization.

    |R| ≈ U V      U (channels, k), V (k, positions), both at least 0
    w_k = (u_k v_kᵀ)^2 / Σ_j (u_j v_jᵀ)^2      each position of each channel is shared among the parts

The shares sum to one everywhere, so the parts hold Σ_k w_k ⊙ R = R, for and against, without a remainder. The
square gives most of a position to the part that explains it best. (Lee & Seung, NIPS 2000, for the updates.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

STEPS = 40
SHARPNESS = 2


def parts_of(R: Float[Tensor, "c h w"], count: int) -> Float[Tensor, "k c h w"]:
    """Shares of each channel at each position, in 0..1, for `count` parts or as many as there are positions."""
    size = R.abs().flatten(1).float()
    count = max(1, min(count, *size.shape))
    if not float(size.sum()) > 0:
        return torch.full((count, *R.shape), 1 / count, dtype=R.dtype, device=R.device)
    U, V = factored(size / size.max(), count)
    together = ((U.T[:, :, None] * V[:, None, :]) ** SHARPNESS).to(R.dtype)
    together += torch.finfo(together.dtype).tiny
    return (together / together.sum(0)).view(count, *R.shape)


def factored(X: Float[Tensor, "c p"], count: int) -> tuple[Float[Tensor, "c k"], Float[Tensor, "k p"]]:
    """U and V ≥ 0 with X ≈ U V, by multiplicative updates from positions that differ most; no chance is involved."""
    faint = 1e-3 * X.mean()
    U = X[:, _apart(X, count)] + faint
    V = (U.T @ X) / (U * U).sum(0)[:, None] + faint
    tiny = torch.finfo(X.dtype).tiny ** 0.5
    for _ in range(STEPS):
        V *= (U.T @ X) / (U.T @ U @ V + tiny)
        U *= (X @ V.T) / (U @ (V @ V.T) + tiny)
    return U, V


def _apart(X: Float[Tensor, "c p"], count: int) -> list[int]:
    """Positions to start from: the strongest, then always the one that is strong and unlike those before."""
    mass = X.sum(0)
    direction = X / X.norm(dim=0).clamp(min=torch.finfo(X.dtype).tiny ** 0.5)
    apart, chosen = torch.ones_like(mass), [int(mass.argmax())]
    for _ in range(count - 1):
        apart = torch.minimum(apart, 1 - direction.T @ direction[:, chosen[-1]])
        weight = apart.clamp(min=0) * mass
        weight[chosen] = -1
        chosen.append(int(weight.argmax()))
    return chosen

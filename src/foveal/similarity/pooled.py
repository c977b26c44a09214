"""Metrics of one embedding an image. q, s (..., d), broadcast; specification: FAM, sections 3 and 4.

cosine        q̂·ŝ           p_k = q̂_k ŝ_k              v̂ = v / max(|v|, 1e-12)
dot           q·s           p_k = q_k s_k
squared       −|q − s|²     p_k = −(q_k − s_k)²
euclidean     −|q − s|      p_k = −(q_k − s_k)² / |q − s|
Learned(L)    the metric of Lq and Ls, so that squared is Mahalanobis's with M = LᵀL; p lives on the rows of L
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.errors import TargetError
from foveal.similarity.metric import TINY, Distance, Linear, same_length

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class _Pooled:
    """What metrics of plain vectors share."""

    @property
    def local(self) -> bool:
        return False

    def described(self, v: Tensor) -> Tensor:
        return v

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        raise NotImplementedError

    def mirrored(self, q: Tensor, s: Tensor) -> Linear:
        return self.linear(s, q)  # all of them are symmetric

    def value(self, score: float) -> float:
        return score


@dataclass(frozen=True)
class Cosine(_Pooled):
    """cos(q, s), −1 … 1."""

    name: str = "cosine"
    scale_free: bool = True

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        same_length(q, s, -1)
        return (unit(q) * unit(s)).sum(-1)

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs d"]:
        same_length(q, s, -1)
        return unit(q.detach()) * unit(s)

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        weights = unit(s) / length(q.detach())
        return Linear(weights, weights.new_zeros(weights.shape[:-1]))


@dataclass(frozen=True)
class Dot(_Pooled):
    """q·s, any real number."""

    name: str = "dot"
    scale_free: bool = False

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        same_length(q, s, -1)
        return (q * s).sum(-1)

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs d"]:
        same_length(q, s, -1)
        return q.detach() * s

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        weights = s + torch.zeros_like(q)
        return Linear(weights, weights.new_zeros(weights.shape[:-1]))


@dataclass(frozen=True)
class Squared(_Pooled):
    """−|q − s|², the squared Euclidean distance with its sign turned."""

    name: str = "squared"
    scale_free: bool = False

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        same_length(q, s, -1)
        return -((q - s) ** 2).sum(-1)

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs d"]:
        same_length(q, s, -1)
        return -((q.detach() - s) ** 2)

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        """−|q − s|² = Σ (2s − q) ⊙ q − |s|²."""
        return Linear(2 * s - q.detach(), -(s**2).sum(-1) - torch.zeros_like(q[..., 0]))

    def value(self, score: float) -> float:
        return -score


@dataclass(frozen=True)
class Euclidean(_Pooled):
    """−|q − s|, the distance with its sign turned."""

    name: str = "euclidean"
    scale_free: bool = False

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        same_length(q, s, -1)
        # The root has no derivative at 0, where the two are the same picture.
        return -((q - s) ** 2).sum(-1).clamp(min=TINY**2).sqrt()

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs d"]:
        same_length(q, s, -1)
        difference = q.detach() - s
        return -(difference**2) / length(difference)

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        weights, remainder = Squared().linear(q, s)
        distance = length(q.detach() - s)
        return Linear(weights / distance, remainder / distance[..., 0])

    def value(self, score: float) -> float:
        return -score


@dataclass(frozen=True, eq=False)
class Learned:
    """Another metric after a linear map: of Lq and Ls. With `Squared` it is Mahalanobis's, M = LᵀL.

        Learned(L)    Learned.mahalanobis(covariance)

    Args:
        L: (e, d).
        distance: what compares Lq and Ls.
    """

    L: Float[Tensor, "e d"]
    distance: Distance = field(default_factory=Squared)

    def __post_init__(self) -> None:
        if self.L.ndim != 2 or not self.L.is_floating_point() or self.distance.local:
            raise TargetError(f"a learned metric takes a matrix (e, d) of real numbers, not {tuple(self.L.shape)}")

    @classmethod
    def mahalanobis(cls, covariance: Float[Tensor, "d d"]) -> Learned:
        """√((q − s)ᵀ C⁻¹ (q − s)), squared, with its sign turned.

        Raises:
            TargetError: for a covariance that is not symmetric and positive.
        """
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if int(failed.max()) or not torch.allclose(covariance, covariance.mT, rtol=1e-4):
            raise TargetError(
                "a Mahalanobis distance needs a symmetric, positive covariance: shrink it towards its diagonal"
            )
        eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
        return cls(torch.linalg.solve_triangular(factor, eye, upper=False))

    @property
    def name(self) -> str:
        return f"learned {self.distance.name}"

    @property
    def local(self) -> bool:
        return False

    @property
    def scale_free(self) -> bool:
        return self.distance.scale_free

    def described(self, v: Float[Tensor, "*pairs d"]) -> Float[Tensor, "*pairs e"]:
        if v.shape[-1] != self.L.shape[1]:
            raise TargetError(
                f"this learned metric takes embeddings of {self.L.shape[1]} numbers, the network's have {v.shape[-1]}"
            )
        return v @ self.L.to(v).mT

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        return self.distance.score(self.described(q), self.described(s))

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs e"]:
        return self.distance.contributions(self.described(q), self.described(s))

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        weights, remainder = self.distance.linear(self.described(q), self.described(s))
        return Linear(weights @ self.L.to(weights), remainder)

    def mirrored(self, q: Tensor, s: Tensor) -> Linear:
        return self.linear(s, q)

    def value(self, score: float) -> float:
        return self.distance.value(score)


def unit(v: Float[Tensor, "*pairs d"]) -> Float[Tensor, "*pairs d"]:
    """v / max(|v|, 1e-12)."""
    return v / length(v)


def length(v: Float[Tensor, "*pairs d"]) -> Float[Tensor, "*pairs 1"]:
    """max(|v|, 1e-12)."""
    norm: Tensor = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    return norm.clamp(min=TINY)

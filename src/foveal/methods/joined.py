"""A similarity shared among parts that lie on both images.

    T_exy       what number e of the embedding adds at position x of the query and y of the reference; Σ T = similarity
    |T| ≈ Σ_k c_ek a_xk b_yk                        non-negative factors (Shashua & Hazan, ICML 2005)
    w_k  = (c_ek a_xk b_yk)² / Σ_j (c_ej a_xj b_yj)²        part k's share of each T_exy; Σ_k w_k = 1

So part k, the same channels here and there, adds Σ w_k ⊙ T, and all parts together the similarity. The form of T
depends on how embeddings are compared:

    `Pooled`           U_ex V_ey; each number of the embedding comes from one channel
    `Mixed`            Σ_e U_ex V_ey; a projection mixes channels, so that only positions are told apart
    `PositionPairs`    only some positions meet, each with few: local metrics, embeddings that are a whole map
    `Apart`            distances: what each side adds to them, the query's positions beside the reference's
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from foveal.hierarchy.factoring import SHARPNESS, STEPS, factored, parts_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

AT_ONCE = 2**24  # numbers of w that are in memory together


class PartDivision(NamedTuple):
    """What k parts add, and where.

    Attributes:
        pro, contra: (k,), what is for and what is against the similarity; the part adds the one less the other.
        numbers: what each number of the embedding adds.
        query, reference: what positions of each side add.
        query_share, reference_share: part k's share of the activations, 0 to 1; one channel where they are not told
            apart. Σ_k is 1.
    """

    pro: Float[Tensor, " k"]
    contra: Float[Tensor, " k"]
    numbers: Float[Tensor, "k e"]
    query: Float[Tensor, "k x"]
    reference: Float[Tensor, "k y"]
    query_share: Float[Tensor, "k c x"]
    reference_share: Float[Tensor, "k c y"]

    def ordered(self) -> PartDivision:
        """The parts that add or take away most first."""
        order = (self.pro - self.contra).abs().argsort(descending=True, stable=True)
        return PartDivision(*(field[order] for field in self))


class PairEvidence(Protocol):
    """A similarity before it is divided."""

    def divided(self, count: int) -> PartDivision:
        """Among `count` parts, or as many as there can be."""
        ...


@dataclass(frozen=True)
class Pooled:
    """T_exy = U_ex V_ey."""

    U: Float[Tensor, "e x"]
    V: Float[Tensor, "e y"]

    def divided(self, count: int) -> PartDivision:
        c, a, b = factored_jointly(self.U.abs(), self.V.abs(), count)
        few = max(1, AT_ONCE // (a.numel() * len(b)))
        each = [
            _divided_rows(*rows, a, b) for rows in zip(self.U.split(few), self.V.split(few), c.split(few), strict=True)
        ]
        pro, contra, query, reference = (torch.stack([getattr(part, name) for part in each]).sum(0)
                                         for name in ("pro", "contra", "query", "reference"))  # fmt: skip
        numbers, ours, theirs = (torch.cat([getattr(part, name) for part in each], 1)
                                 for name in ("numbers", "query_share", "reference_share"))  # fmt: skip
        return PartDivision(pro, contra, numbers, query, reference, ours, theirs)


@dataclass(frozen=True)
class Mixed:
    """T_xy = Σ_e U_ex V_ey."""

    U: Float[Tensor, "e x"]
    V: Float[Tensor, "e y"]

    def divided(self, count: int) -> PartDivision:
        T = self.U.mT @ self.V
        w = parts_of(T[..., None], count)[..., 0]
        numbers = torch.einsum("kxy,ex,ey->ke", w, self.U, self.V)
        parts = w * T
        return PartDivision(
            *_both(parts), numbers, parts.sum(2), parts.sum(1), _share(parts, 2)[:, None], _share(parts, 1)[:, None]
        )


@dataclass(frozen=True)
class PositionPairs:
    """T_ep, of pairs p of positions x_p and y_p."""

    T: Float[Tensor, "e p"]
    x: Int[Tensor, " p"]
    y: Int[Tensor, " p"]
    sizes: tuple[int, int]

    def divided(self, count: int) -> PartDivision:
        parts = parts_of(self.T[..., None], count)[..., 0] * self.T
        sides = zip((self.x, self.y), self.sizes, strict=True)
        ours, theirs = (_placed(parts, at, size) for at, size in sides)
        sizes = (_placed(parts.abs(), at, size) for at, size in zip((self.x, self.y), self.sizes, strict=True))
        return PartDivision(
            *_both(parts), parts.sum(2), ours.sum(1), theirs.sum(1), *(_normalized(each) for each in sizes)
        )


@dataclass(frozen=True)
class Apart:
    """R_ex and R_ey: what both sides add to a distance, one beside the other.

    Attributes:
        channels: numbers of the embedding are channels of the maps.
    """

    ours: Float[Tensor, "e x"]
    theirs: Float[Tensor, "e y"]
    channels: bool

    def divided(self, count: int) -> PartDivision:
        R = torch.cat([self.ours, self.theirs], 1)
        parts = parts_of(R[..., None], count)[..., 0] * R
        ours, theirs = parts.split([self.ours.shape[1], self.theirs.shape[1]], 2)
        shares = (_normalized((each if self.channels else each.abs().sum(1, keepdim=True)).abs())
                  for each in (ours, theirs))  # fmt: skip
        return PartDivision(*_both(parts), parts.sum(2), ours.sum(1), theirs.sum(1), *shares)


def factored_jointly(
    U: Float[Tensor, "e x"], V: Float[Tensor, "e y"], count: int
) -> tuple[Float[Tensor, "e k"], Float[Tensor, "x k"], Float[Tensor, "y k"]]:
    """c, a, b ≥ 0 with U_ex V_ey ≈ Σ_k c_ek a_xk b_yk, by multiplicative updates; the product itself is never made.

    It starts from what both sides' positions add, factored side by side.
    """
    dtype, tiny = U.dtype, torch.finfo(torch.float32).tiny ** 0.5
    U, V = (side.float() / side.max().clamp(min=tiny) for side in (U, V))
    both = torch.cat([U * V.sum(1, keepdim=True), V * U.sum(1, keepdim=True)], 1)
    count = max(1, min(count, *both.shape))
    c, sides = factored(both / both.max().clamp(min=tiny), count)
    a, b = (side.mT.contiguous() for side in sides.split([U.shape[1], V.shape[1]], 1))
    for _ in range(STEPS):
        a, b = (side / side.norm(dim=0).clamp(min=tiny) for side in (a, b))
        c = c * ((U @ a) * (V @ b)) / (c @ ((a.mT @ a) * (b.mT @ b)) + tiny)
        a = a * (U.mT @ (c * (V @ b))) / (a @ ((c.mT @ c) * (b.mT @ b)) + tiny)
        b = b * (V.mT @ (c * (U @ a))) / (b @ ((c.mT @ c) * (a.mT @ a)) + tiny)
    return c.to(dtype), a.to(dtype), b.to(dtype)


def _divided_rows(
    U: Float[Tensor, "e x"],
    V: Float[Tensor, "e y"],
    c: Float[Tensor, "e k"],
    a: Float[Tensor, "x k"],
    b: Float[Tensor, "y k"],
) -> PartDivision:
    """`Pooled` for a few numbers of the embedding."""
    w = torch.einsum("ek,xk,yk->kexy", c, a, b) ** SHARPNESS + torch.finfo(c.dtype).tiny
    w /= w.sum(0)
    parts = w * (U[:, :, None] * V[:, None, :])
    return PartDivision(
        *_both(parts), parts.sum((2, 3)), parts.sum((1, 3)), parts.sum((1, 2)), _share(parts, 3), _share(parts, 2)
    )


def _both(parts: Float[Tensor, "k ..."]) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """What is for, and what is against."""
    return parts.relu().flatten(1).sum(1), (-parts).relu().flatten(1).sum(1)


def _share(parts: Float[Tensor, "k ..."], dim: int) -> Tensor:
    return _normalized(parts.abs().sum(dim))


def _normalized(sizes: Float[Tensor, "k ..."]) -> Float[Tensor, "k ..."]:
    """Σ_k is 1, also where there is nothing."""
    sizes = sizes + torch.finfo(sizes.dtype).tiny
    return sizes / sizes.sum(0)


def _placed(parts: Float[Tensor, "k e p"], at: Int[Tensor, " p"], size: int) -> Float[Tensor, "k e s"]:
    """Pairs added up where they are on one side."""
    return parts.new_zeros(*parts.shape[:2], size).index_add_(2, at, parts)

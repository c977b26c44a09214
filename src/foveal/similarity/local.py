"""Metrics of maps: descriptors of places are compared with descriptors of places.

    u_i, v_j      the descriptors of query and reference at places i and j, each of length 1 (û, v̂ in the specification)
    f_ij          what goes from i to j; held fixed once found, so that no derivative is taken of the assignment
    score         Σ_ij f_ij u_i·v_j,  −1 … 1        p_k = Σ_ij f_ij u_ik v_jk        (specification: FAM, section 4)

By Danskin's theorem a unique optimal flow needs no derivative, so for EMD "held fixed" is exact.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.errors import MissingExtra, TargetError
from foveal.similarity.metric import Linear, same_length
from foveal.similarity.pooled import Cosine, length, unit

if TYPE_CHECKING:
    from jaxtyping import Float

    Descriptors = Float[Tensor, "p d i"]
    Flow = Float[Tensor, "p i j"]

CHANNELS = -3


@dataclass(frozen=True)
class _Local:
    """What metrics of maps share. Pairs are flattened to p, places to i and j."""

    @property
    def local(self) -> bool:
        return True

    @property
    def scale_free(self) -> bool:
        return True

    def described(self, v: Tensor) -> Tensor:
        return v

    def value(self, score: float) -> float:
        return score


@dataclass(frozen=True)
class ByFlow(_Local):
    """Similarity of two maps by a flow: the Σ_ij f_ij u_i·v_j of the specification, −1 to 1.

    Which flow is what subclasses say; it is held fixed once it is found.
    """

    def flow(self, A: Descriptors, B: Descriptors) -> Flow:
        """What goes from where to where; sums to 1 for each pair."""
        raise NotImplementedError

    def table(self, q: Tensor, s: Tensor) -> Float[Tensor, "i j"]:
        """What each pair of places adds to the score of one query and one reference."""
        A, B, _ = _flat(q, s)
        return (self.flow(A, B) * torch.einsum("pki,pkj->pij", _each(A), _each(B)))[0]

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        A, B, pairs = _flat(q, s)
        with torch.no_grad():
            f = self.flow(A, B)
        return torch.einsum("pij,pki,pkj->p", f, _each(A), _each(B)).reshape(pairs)

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs d"]:
        A, B, pairs = _flat(q.detach(), s)
        return torch.einsum("pij,pki,pkj->pk", self.flow(A, B), _each(A), _each(B)).reshape(*pairs, -1)

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        """Each place's descriptor meets what it was assigned: Σ_j f_ij v_j / |A_i|."""
        A, B, pairs = _flat(q.detach(), s)
        weights = torch.einsum("pij,pkj->pki", self.flow(A, B), _each(B)) / _lengths(A)
        return Linear(weights.reshape(*pairs, *q.shape[CHANNELS:]), weights.new_zeros(pairs))

    def mirrored(self, q: Tensor, s: Tensor) -> Linear:
        A, B, pairs = _flat(q.detach(), s)
        weights = torch.einsum("pij,pki->pkj", self.flow(A, B), _each(A)) / _lengths(B)
        return Linear(weights.reshape(*pairs, *s.shape[CHANNELS:]), weights.new_zeros(pairs))


@dataclass(frozen=True)
class EarthMovers(ByFlow):
    """The earth mover's distance as DeepEMD uses it (Zhang et al., CVPR 2020): the best assignment of all evidence.

    A place has as much to give as it resembles the other picture as a whole, ReLU(A_i · mean_j B_j); the cost of a
    way is 1 − u_i·v_j. Needs POT (`pip install 'foveal[transport]'`).
    """

    name: str = "emd"

    def flow(self, A: Descriptors, B: Descriptors) -> Flow:
        try:
            ot = importlib.import_module("ot")
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "metric 'emd' computes an optimal transport with POT, which is not installed: "
                "pip install 'foveal[transport]'"
            ) from error
        cost = 1 - torch.einsum("pki,pkj->pij", _each(A), _each(B))
        give, take = (_share(X, Y).double().cpu().numpy() for X, Y in ((A, B), (B, A)))
        each = [ot.emd(a, b, c) for a, b, c in zip(give, take, cost.double().cpu().numpy(), strict=True)]
        return torch.stack([torch.from_numpy(f) for f in each]).to(cost)


@dataclass(frozen=True)
class Nearest(ByFlow):
    """Each place of the query against the `k` most similar places of the reference (as DN4, Li et al., CVPR 2019).

    The mean of their similarities over places and neighbors.
    """

    k: int = 1
    name: str = "nearest"

    def flow(self, A: Descriptors, B: Descriptors) -> Flow:
        alike = torch.einsum("pki,pkj->pij", _each(A), _each(B))
        k = min(self.k, alike.shape[-1])
        chosen = alike.topk(k, dim=-1).indices
        return torch.zeros_like(alike).scatter_(-1, chosen, 1 / (k * alike.shape[-2]))


@dataclass(frozen=True)
class CrossAttention(_Local):
    """The cosine of embeddings pooled where each picture resembles the other (as CAN, Hou et al., NeurIPS 2019).

        q = Σ_i a_i A_i,  a = softmax of (mean_j u_i·v_j) / temperature over places;  s in the same way

    CAN learns the attention with a small network; this is the correlation it starts from, without weights. Attention
    is held fixed.
    """

    temperature: float = 0.025
    name: str = "crossattention"

    def score(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs"]:
        a, b, pairs = self._attended(q, s)
        return Cosine().score(a, b).reshape(pairs)

    def contributions(self, q: Tensor, s: Tensor) -> Float[Tensor, "*pairs d"]:
        a, b, pairs = self._attended(q.detach(), s)
        return Cosine().contributions(a, b).reshape(*pairs, -1)

    def linear(self, q: Tensor, s: Tensor) -> Linear:
        A, B, pairs = _flat(q.detach(), s)
        attention, _ = self.attention(A, B)
        a, b, _ = self._attended(q.detach(), s)
        weights = attention[:, None] * Cosine().linear(a, b).weights[:, :, None]
        return Linear(weights.reshape(*pairs, *q.shape[CHANNELS:]), weights.new_zeros(pairs))

    def mirrored(self, q: Tensor, s: Tensor) -> Linear:
        return self.linear(s, q)

    def _attended(self, q: Tensor, s: Tensor) -> tuple[Tensor, Tensor, torch.Size]:
        A, B, pairs = _flat(q, s)
        a, b = self.attention(A, B)
        return torch.einsum("pi,pki->pk", a, A), torch.einsum("pj,pkj->pk", b, B), pairs

    def attention(self, A: Descriptors, B: Descriptors) -> tuple[Tensor, Tensor]:
        """(p, i) and (p, j), how much each place counts; each sums to 1."""
        with torch.no_grad():
            alike = torch.einsum("pki,pkj->pij", _each(A), _each(B))
            return (alike.mean(2) / self.temperature).softmax(1), (alike.mean(1) / self.temperature).softmax(1)


def _share(A: Descriptors, B: Descriptors) -> Float[Tensor, "p i"]:
    """What each place has to give, 1 in all; every place alike where none resembles the other picture."""
    raw = torch.einsum("pki,pk->pi", A, B.mean(2)).relu()
    total = raw.sum(1, keepdim=True)
    # The solver wants both sides equal to the last digit, hence double precision.
    return torch.where(total > 0, raw.double() / total.double(), 1 / raw.shape[1])


def _flat(q: Tensor, s: Tensor) -> tuple[Descriptors, Descriptors, torch.Size]:
    if q.ndim < -CHANNELS or s.ndim < -CHANNELS:
        raise TargetError(
            "this metric compares positions: it takes feature maps (d, h, w), so name a layer that has them"
        )
    same_length(q, s, CHANNELS)
    pairs = torch.broadcast_shapes(q.shape[:CHANNELS], s.shape[:CHANNELS])
    return (
        q.expand(*pairs, *q.shape[CHANNELS:]).reshape(pairs.numel(), q.shape[CHANNELS], -1),
        s.expand(*pairs, *s.shape[CHANNELS:]).reshape(pairs.numel(), s.shape[CHANNELS], -1),
        pairs,
    )


def _each(A: Descriptors) -> Descriptors:
    return unit(A.mT).mT


def _lengths(A: Descriptors) -> Float[Tensor, "p 1 i"]:
    return length(A.mT).mT

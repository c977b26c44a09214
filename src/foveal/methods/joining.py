"""Queries against groups of references: the evidence of each pair, to be divided among joined parts (`methods.joined`).

A group is one reference, or the examples of a class. It is compared as a class is (`targets.prototypes`): with the mean
of its embeddings, or reference by reference, weighted. With more than one reference their positions stand beside one
another, so that a part lies on the query and on each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.errors import MethodError
from foveal.methods.correspondence import channel_by_channel, shares
from foveal.methods.joined import Apart, Mixed, PairEvidence, Pooled, PositionPairs
from foveal.similarity import Cosine, CrossAttention, Distance, Dot, Euclidean, Learned, Squared, unit
from foveal.similarity.local import ByFlow
from foveal.similarity.pooled import length

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.methods.pairwise import Side


SUMS = (Cosine, Dot, Squared, Euclidean, CrossAttention)  # a subclass may be anything


@dataclass(frozen=True)
class ReferenceGroup:
    """References that a query is compared with as one.

    Attributes:
        members: their numbers.
        weights: (n, r), how much each counts for each query; they sum to 1.
        pooled: the mean of their embeddings is compared, and `weights` are equal.
    """

    members: tuple[int, ...]
    weights: Float[Tensor, "n r"]
    pooled: bool = False

    def compared(self, i: int, s: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """(weight, what query i is compared with), one after the other; `s` is a tensor for each member."""
        if self.pooled:
            return [(s[0].new_ones(()), torch.stack([*torch.broadcast_tensors(*s)]).mean(0))]
        return [*zip(self.weights[i].to(s[0]), s, strict=True)]

    def score(self, metric: Distance, i: int, q: Float[Tensor, "k ..."], s: Sequence[Tensor]) -> Float[Tensor, " k"]:
        """Of k forms of query i with members in k forms, or in one."""
        return torch.stack([w * metric.score(q, one) for w, one in self.compared(i, s)]).sum(0)

    def cosine_at_length(
        self,
        metric: Distance,
        i: int,
        q: Float[Tensor, "k d"],
        s: Sequence[Tensor],
        whole: tuple[Tensor, Sequence[Tensor]],
    ) -> Float[Tensor, " k"]:
        """q·s over the lengths that both have as a whole."""
        size = length(metric.described(whole[0]))
        rows = zip(self.compared(i, s), self.compared(i, whole[1]), strict=True)
        return torch.stack([
            w * (metric.described(q) / size * metric.described(one) / length(metric.described(own))).sum(-1)
            for (w, one), (_, own) in rows
        ]).sum(0)  # fmt: skip


@dataclass(frozen=True)
class Joining:
    """Finds the evidence of pairs. Made while the graph from the maps to the embeddings is there.

    Attributes:
        channels: each number of the embedding comes from one channel of the maps, on both sides.
        flat: the embedding is the whole map, position by position.
    """

    queries: Side
    references: Side
    metric: Distance
    channels: bool
    flat: bool

    @classmethod
    def of(cls, queries: Side, references: Side, metric: Distance) -> Joining:
        """Raises MethodError for a metric that has no parts."""
        inner = metric.distance if isinstance(metric, Learned) else metric
        if not isinstance(inner, ByFlow) and type(inner) not in SUMS:
            raise MethodError(
                f"metric {metric.name!r} ({type(inner).__name__}) is not known to be a sum over channels and "
                "positions, so it has no joined parts: leave out parts=, or use cosine, dot, euclidean, squared, "
                "emd, nearest or crossattention"
            )
        sides, learned = (queries, references), isinstance(metric, Learned)
        flat = not learned and not metric.local and all(torch.equal(side.v, side.A.flatten(1)) for side in sides)
        channels = flat or metric.local or (not learned and all(channel_by_channel(side) for side in sides))
        for side in () if flat or metric.local else sides:
            shares(side)
        return cls(queries, references, metric, channels, flat)

    @property
    def inner(self) -> Distance:
        """The metric, in the space of a learned one."""
        return self.metric.distance if isinstance(self.metric, Learned) else self.metric

    def evidence(self, i: int, group: ReferenceGroup) -> PairEvidence:
        """Of query i with a group.

        Raises:
            MethodError: where a metric has no parts on several references.
        """
        if isinstance(self.metric, ByFlow):
            return self._by_flow(self.metric, i, group)
        if isinstance(self.metric, CrossAttention):
            return self._attended(self.metric, i, group)
        inner = self.inner
        q, terms = self._projected(self.queries.v[i]), self._terms(i, group)
        if self.flat:
            return self._by_position(inner, i, q, terms)
        U = self._projected(shares(self.queries)[i])
        if isinstance(inner, Cosine | Dot):
            V = torch.cat([term.weight * term.V.flatten(1) / _norm(inner, term.s) for term in terms], 1)
            return (Pooled if self.channels else Mixed)(U / _norm(inner, q), V)
        pulls = [term.weight * (q - term.s)[:, None] / _norm(inner, q - term.s) for term in terms]
        theirs = [pull * term.V.flatten(1) for pull, term in zip(pulls, terms, strict=True)]
        return Apart(-torch.stack(pulls).sum(0) * U, torch.cat(theirs, 1), self.channels)

    def _terms(self, i: int, group: ReferenceGroup) -> list[_Term]:
        """What query i is compared with, one after the other."""
        chosen = list(group.members)
        s = self._projected(self.references.v[chosen].mT).mT
        V = self.references.A[chosen].flatten(2) if self.flat else self._projected(shares(self.references)[chosen])
        if group.pooled:
            return [_Term(V.new_ones(()), s.mean(0), V.transpose(0, 1) / len(V))]
        return [_Term(w, one, each[:, None]) for w, one, each in zip(group.weights[i], s, V, strict=True)]

    def _projected(self, v: Float[Tensor, "*r d x"]) -> Float[Tensor, "*r e x"]:
        """In the space of a learned metric."""
        return self.metric.L.to(v) @ v if isinstance(self.metric, Learned) else v

    def _by_position(self, inner: Distance, i: int, q: Tensor, terms: Sequence[_Term]) -> PositionPairs:
        """The embedding is the map: each position meets the same one of the reference."""
        A, blocks = self.queries.A[i].flatten(1), []
        for term in terms:
            if isinstance(inner, Cosine | Dot):
                blocks.append(term.weight * A[:, None] * term.V / _norm(inner, q) / _norm(inner, term.s))
            else:
                pull = term.weight * (q - term.s) / _norm(inner, q - term.s)
                blocks.append(-pull.view_as(A)[:, None] * (A[:, None] / term.V.shape[1] - term.V))
        T = torch.cat(blocks, 1)
        y = torch.arange(T[0].numel(), device=T.device)
        return PositionPairs(T.flatten(1), y % A.shape[1], y, (A.shape[1], len(y)))

    def _by_flow(self, metric: ByFlow, i: int, group: ReferenceGroup) -> PositionPairs:
        """Only where something flows from one position to another."""
        A, T, x, y = self.queries.A[i].flatten(1), [], [], []
        for number, (w, j) in enumerate(zip(group.weights[i], group.members, strict=True)):
            B = self.references.A[j].flatten(1)
            f = metric.flow(A[None], B[None])[0]
            from_x, to_y = f.nonzero(as_tuple=True)
            T.append(w * f[from_x, to_y] * unit(A.mT)[from_x].mT * unit(B.mT)[to_y].mT)
            x.append(from_x)
            y.append(to_y + number * B.shape[1])
        sizes = A.shape[1], self.references.cells * len(group.members)
        return PositionPairs(torch.cat(T, 1), torch.cat(x), torch.cat(y), sizes)

    def _attended(self, metric: CrossAttention, i: int, group: ReferenceGroup) -> Pooled:
        if len(group.members) > 1:
            raise MethodError(
                f"metric {metric.name!r} pools the query anew for each example, so that several examples have no "
                "joined parts: leave out parts=, or use one example a class"
            )
        A, B = self.queries.A[i].flatten(1), self.references.A[group.members[0]].flatten(1)
        a, b = metric.attention(A[None], B[None])
        U, V = A * a, B * b
        return Pooled(U / length(U.sum(1)), V * group.weights[i] / length(V.sum(1)))


@dataclass(frozen=True)
class _Term:
    """An embedding that the query is compared with.

    Attributes:
        weight: how much it counts.
        s: (e,).
        V: (e, b, y), what positions of its b references add to it.
    """

    weight: Tensor
    s: Tensor
    V: Tensor


def _norm(metric: Distance, v: Float[Tensor, " e"]) -> Tensor | float:
    """What a sum over channels is divided by."""
    return length(v) if isinstance(metric, Cosine | Euclidean) else 1.0

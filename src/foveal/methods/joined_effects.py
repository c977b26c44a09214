"""Joined parts of pairs, and their measured effect: the network goes on from the layer without a part's activations.

without it      A − w_k ⊙ A, on the query, on the reference or on both; then the embeddings, then the similarity
at random       the same on one side, with a part's shares at other channels and positions; the mean of both sides
same lengths    the same on one side, where a cosine keeps the lengths that the whole embeddings have
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from foveal.engine.address import Address
from foveal.engine.arguments import Arguments
from foveal.engine.guard import unwrap
from foveal.engine.subnetwork import Subnetwork
from foveal.errors import FovealError
from foveal.methods.joined import PartDivision
from foveal.methods.joining import Joining, ReferenceGroup
from foveal.methods.pairwise import Side
from foveal.results.joined_parts import EFFECTS, JoinedParts
from foveal.similarity import Cosine
from foveal.targets.reference import embedded

if TYPE_CHECKING:
    from jaxtyping import Float

UNMEASURED = "the network cannot be run on from the layer of the maps alone, so the effects of parts are not measured"


@dataclass(frozen=True)
class GoOn:
    """From the layer of the maps on to the embedding, for images of one side."""

    side: Side
    model: nn.Module
    x: Float[Tensor, "n c h w"]
    arguments: Arguments
    _works: dict[int, bool] = field(default_factory=dict)

    def __call__(self, i: int, maps: Float[Tensor, "k c h w"]) -> Tensor | None:
        """The embeddings of image i with these maps; None where its own map does not give its own embedding."""
        if i not in self._works:
            self._works[i] = self._right(i)
        return self._embedded(i, maps) if self._works[i] else None

    def _right(self, i: int) -> bool:
        own = self.side.v[i]
        try:
            again = self._embedded(i, self.side.A[i : i + 1].repeat(2, 1, 1, 1))
        except FovealError:
            return False
        close = 1e-4 * float(own.abs().amax())
        return again.shape == (2, *own.shape) and torch.allclose(again, own.expand_as(again), rtol=1e-3, atol=close)

    def _embedded(self, i: int, maps: Tensor) -> Tensor:
        side = self.side
        if side.local:
            return maps
        if not side.runs:
            return maps.mean((2, 3))
        at, site = side.layers
        layout = side.structure.layout(at, side.runs[0].activations[at].shape, side.image) or "nchw"
        after = Subnetwork(
            unwrap(self.model), self.x[i : i + 1], self.arguments, at, site, self._last_call, (layout, "nchw")
        )
        return embedded(side.structure.channels_first(site, after.returned(maps), side.image), local=False)

    def _last_call(self, layer: str) -> int:
        call = Address.parse(layer).call
        return self.side.structure.last_calls(self.model, [layer])[layer] if call is None else call


@dataclass(frozen=True)
class Measuring:
    """Parts taken out of both sides of pairs."""

    joining: Joining
    queries: GoOn
    references: GoOn

    @property
    def distance(self) -> bool:
        return self.joining.metric.value(1.0) < 0

    def effects(self, i: int, group: ReferenceGroup, division: PartDivision) -> Float[Tensor, "k e"] | None:
        """What is lost of the similarity, as `EFFECTS` are ordered; None where the network cannot be run so."""
        ours, theirs = self.queries.side, self.references.side
        blocks = division.reference_share.unflatten(2, (len(group.members), -1)).unbind(2)
        q = _without(self.queries, i, division.query_share)
        each = (_without(self.references, j, share) for j, share in zip(group.members, blocks, strict=True))
        s = [one for one in each if one is not None]
        if q is None or len(s) < len(blocks):
            return None
        own = ours.v[i : i + 1], [theirs.v[j : j + 1] for j in group.members]
        gone, other = q.split(len(division.pro))
        s_gone, s_other = zip(*(one.split(len(division.pro)) for one in s), strict=True)

        def lost(score: Callable[[Tensor, Sequence[Tensor]], Tensor]) -> list[Tensor]:
            whole = score(*own)
            pairs = (gone, own[1]), (own[0], s_gone), (gone, s_gone)
            chance = [(other, s_other)] if self.distance else [(other, own[1]), (own[0], s_other)]
            each = [(whole - score(*pair)) / whole for pair in (*pairs, *chance)]
            return [*each[:3], torch.stack(each[3:]).mean(0)]

        metric = self.joining.metric
        real = lost(lambda q, s: group.score(metric, i, q, s))
        if not isinstance(self.joining.inner, Cosine):
            return torch.stack([*real, *[real[0].new_full((len(gone),), torch.nan)] * 2], 1)
        query, reference, _, random = lost(lambda q, s: group.cosine_at_length(metric, i, q, s, own))
        return torch.stack([*real, (query + reference) / 2, random], 1)


def joined_parts(
    measuring: Measuring, groups: Sequence[ReferenceGroup], count: int, tick: Callable[[int, int], None] | None = None
) -> tuple[list[JoinedParts], list[str]]:
    """The parts of every query with each group, and notes."""
    ours, theirs = measuring.queries.side, measuring.references.side
    found, unmeasured, done = [], False, 0
    for group in groups:
        rows = []
        for i in range(len(ours.A)):
            with torch.no_grad():
                references = [theirs.v[j : j + 1] for j in group.members]
                own = group.score(measuring.joining.metric, i, ours.v[i : i + 1], references)
                division = measuring.joining.evidence(i, group).divided(count).ordered()
                effects = measuring.effects(i, group, division)
            unmeasured |= effects is None
            if effects is None:
                effects = division.pro.new_full((len(division.pro), len(EFFECTS)), torch.nan)
            rows.append((own[0], division, effects))
            done += 1
            if tick:
                tick(done, len(groups) * len(ours.A))
        found.append(
            _stacked(rows, count, (ours.A.shape[2:], (len(group.members), *theirs.A.shape[2:])), measuring.distance)
        )
    return found, [UNMEASURED] if unmeasured else []


def _without(go_on: GoOn, i: int, share: Float[Tensor, "k c x"]) -> Tensor | None:
    """Embeddings of image i without each part, then without as much at random."""
    A = go_on.side.A[i]
    removed = torch.cat([share, _shuffled(share)])
    return go_on(i, A * (1 - removed.unflatten(2, A.shape[1:])))


def _shuffled(share: Float[Tensor, "k c x"]) -> Float[Tensor, "k c x"]:
    """Each part's shares at other channels and positions."""
    chance = torch.Generator().manual_seed(0)
    orders = [torch.randperm(part.numel(), generator=chance).to(part.device) for part in share]
    return torch.stack([part.flatten()[order].view_as(part) for part, order in zip(share, orders, strict=True)])


def _stacked(
    rows: Sequence[tuple[Tensor, PartDivision, Tensor]],
    count: int,
    sizes: tuple[Sequence[int], Sequence[int]],
    distance: bool,
) -> JoinedParts:
    """One result for all queries, with empty parts where a pair has fewer."""

    def all_of(tensors: Sequence[Tensor]) -> Tensor:
        return torch.stack([torch.cat([one, one.new_zeros(count - len(one), *one.shape[1:])]) for one in tensors])

    divisions = [division for _, division, _ in rows]
    pro, contra, numbers, query, reference = (
        all_of([getattr(division, name) for division in divisions])
        for name in ("pro", "contra", "numbers", "query", "reference")
    )
    ours, theirs = sizes
    return JoinedParts(
        torch.stack([similarity for similarity, _, _ in rows]), pro, contra, numbers, query.unflatten(2, tuple(ours)),
        reference.unflatten(2, tuple(theirs)), all_of([effects for _, _, effects in rows]), distance,
    )  # fmt: skip

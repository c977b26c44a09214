"""Targets that compare an embedding with references, in one form.

Whatever decides, nearest prototype, vote of neighbors, a margin, the score is a weighted sum of similarities,

    score_i = Σ_j a_ij S(q_i, s_j),

with weights a that the rule of the target chooses from the similarities and that are then held fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from foveal.errors import TargetError
from foveal.similarity import Distance, Linear
from foveal.targets.comparison import Comparison
from foveal.targets.fixed import FixedTarget
from foveal.targets.target import ModelOutput, Target, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Float


class UndecidedError(TargetError):
    """There is nothing to compare: an embedding without a direction, a vote without a voter."""


@dataclass(frozen=True)
class RuleResult:
    """What a rule made of n queries' similarities to m references.

    Attributes:
        a: (n, m), how much each reference counts.
        words: per query, what was decided.
        spec: the same for machines; what holds one entry a query is a list.
        margin: (n, m), the same of what was decided less the runner-up, where there is one.
        probability: (n,) in 0 … 1, where that has a meaning.
        pinned: per query, the rule that decides the same whatever the similarities; None keeps `a`.
    """

    a: Float[Tensor, "n m"]
    words: tuple[str, ...]
    spec: Mapping[str, Any]
    margin: Float[Tensor, "n m"] | None = None
    probability: Float[Tensor, " n"] | None = None
    pinned: Sequence[Rule] | None = None


@dataclass(frozen=True, eq=False)
class ReferenceTarget:
    """A decision by comparison, with its references embedded.

    Args:
        s: (m, d), or (m, d, h, w) where places are compared.
        metric: what compares a query with each.
        rule: which of them count.
        layer: where the query's embedding is read.
    """

    s: Tensor
    metric: Distance
    rule: Rule
    layer: str

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def decide(self, outcome: ModelOutput) -> TargetScore:
        q = embedded(outcome.activations[self.layer], local=self.metric.local)
        check_embedding(q, [str(i) for i in range(len(q))], what="picture", scale_free=self.metric.scale_free)
        s = self.s.to(q)
        pairs = self.metric.score(q[:, None], s[None])
        chosen = self.rule(pairs.detach())
        p = self.metric.contributions(q[:, None], s[None])
        weights, remainder = self.metric.linear(q[:, None], s[None])
        comparison = Comparison(
            q,
            self.metric.described(q),
            _weighted(chosen.a, p),
            Linear(_weighted(chosen.a, weights), (chosen.a * remainder).sum(1)),
            None if chosen.margin is None else _weighted(chosen.margin, p),
        )
        pinned = chosen.pinned or [FixedWeights(chosen, i) for i in range(len(q))]
        each: tuple[Target, ...] = tuple(replace(self, rule=rule) for rule in pinned)
        spec = {**chosen.spec, "metric": self.metric.name, "embedding": self.layer}
        return TargetScore((chosen.a * pairs).sum(1), chosen.words, spec, chosen.probability, each, comparison)


@dataclass(frozen=True, eq=False)
class FixedWeights:
    """What was chosen for query i, whatever the similarities of its altered copies."""

    chosen: RuleResult
    i: int

    def __call__(self, pairs: Float[Tensor, "n m"]) -> RuleResult:
        a = self.chosen.a[self.i].to(pairs).expand_as(pairs)
        return RuleResult(a, (self.chosen.words[self.i],) * len(pairs), self.chosen.spec)


def compares(decision: Target | None) -> bool:
    """Whether it leaves a `Comparison` behind."""
    if isinstance(decision, FixedTarget) and decision.verdict.per_image:
        decision = decision.verdict.per_image[0]
    return isinstance(decision, ReferenceTarget)


def embedded(activation: Tensor, *, local: bool) -> Tensor:
    """The embedding in what a layer returned: (n, d), the mean over places of a map; or the map itself.

    Raises:
        TargetError: when places are wanted and there are none.
    """
    if local and activation.ndim != 4:
        raise TargetError(
            f"this metric compares positions, but the embedding is {tuple(activation.shape)}: name a layer with a map "
            "(n, c, h, w) by embedding="
        )
    if local:
        return activation
    if activation.ndim == 4:
        return activation.mean((2, 3))
    return activation.mean(1) if activation.ndim == 3 else activation


def check_embedding(v: Tensor, names: Sequence[str], *, what: str, scale_free: bool) -> None:
    """TargetError for embeddings that are not finite, or all zero where directions are compared."""
    rows = v.detach().flatten(1)
    finite, some = torch.isfinite(rows).all(1).tolist(), rows.any(1).tolist()
    for name, is_finite, is_some in zip(names, finite, some, strict=True):
        if not is_finite:
            raise TargetError(
                f"the embedding of {what} {name} is not finite: check the input's scale and the model's weights"
            )
        if scale_free and not is_some:
            raise UndecidedError(
                f"the embedding of {what} {name} is all zero and has no direction to compare: use metric='euclidean', "
                "or another embedding"
            )


def names_of(labels: Sequence[str | int] | Tensor) -> list[str]:
    """What the classes are called, one name a reference."""
    return [str(label) for label in (labels.tolist() if hasattr(labels, "tolist") else labels)]


def numbered(labels: Sequence[str | int], m: int, *, what: str) -> tuple[Tensor, tuple[str, ...]]:
    """(m,) class indices, and the names of the classes in the order they are first seen.

    Raises:
        TargetError: when there is not one label for each, or no second class.
    """
    if len(labels) != m:
        raise TargetError(f"{len(labels)} labels were given for {m} {what}: give one each")
    plain = names_of(labels)
    names = tuple(dict.fromkeys(plain))
    if len(names) < 2:
        raise TargetError(
            f"all {what} are of one class, {names[0]}, so there is no decision: give at least two classes, or explain "
            "foveal.Similar"
            if names
            else f"there are no {what}: give examples of at least two classes"
        )
    return torch.tensor([names.index(label) for label in plain]), names


def _weighted(a: Float[Tensor, "n m"], each: Tensor) -> Tensor:
    """Σ_j a_ij each_ij."""
    return torch.einsum("nm,nm...->n...", a, each)


Rule: TypeAlias = "Callable[[Float[Tensor, 'n m']], RuleResult]"
"""From similarities, larger is closer, to which references count and what that means."""

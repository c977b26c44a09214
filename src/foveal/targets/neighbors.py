"""The vote of the nearest neighbors in a memory bank, as contrastive models are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from foveal.errors import TargetError
from foveal.similarity import MetricLike, find_metric
from foveal.targets.classes import class_indices
from foveal.targets.reference import ReferenceTarget, RuleResult, UndecidedError, check_embedding, numbered
from foveal.targets.similar import unprepared
from foveal.targets.target import ModelOutput, Target, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.engine.select import LayerName
    from foveal.targets.target import Embedder


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The class that the k nearest of a bank vote for, each with weight exp(similarity / temperature).

        foveal.Neighbors(bank, labels)         # bank: embeddings (m, d), or images

    What is explained is the mean similarity to those of the k that voted for the class (specification: FAM, 3.1).

    Args:
        bank: embeddings (m, d) or images.
        labels: the class of each.
        k: how many vote.
        temperature: of the vote; 0.07 is customary for cosines.
        metric: what compares.
        weighted: the similarity is averaged with the weights of the vote instead of plainly.
        which: the class explained, or one per image; None is the predicted class.
        margin: explain that class less the runner-up of the vote.
        embedding: the layer that is compared, by name or as a module of the model; None finds it.
    """

    bank: Any
    labels: Sequence[str | int]
    k: int = 20
    temperature: float = 0.07
    metric: MetricLike = "cosine"
    weighted: bool = False
    which: str | int | Sequence[str | int] | None = None
    margin: bool = False
    embedding: LayerName | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return (cast("str", self.embedding),) if self.embedding else ()

    def prepare(self, embedder: Embedder) -> Target:
        metric = find_metric(self.metric)
        if self.k < 1 or self.temperature <= 0:
            raise TargetError(
                f"a vote of {self.k} neighbors at temperature {self.temperature} is not possible: both must be above 0"
            )
        layer = embedder.layer(cast("str | None", self.embedding), local=metric.local)
        s, names = embedder.of(self.bank, layer, local=metric.local, what="bank picture")
        check_embedding(s, names, what="bank picture", scale_free=metric.scale_free)
        index, classes = numbered(self.labels, len(s), what="bank pictures")
        vote = Vote(index, classes, self.k, self.temperature, self.weighted, self.which, self.margin)
        return ReferenceTarget(s, metric, vote, layer)

    def decide(self, outcome: ModelOutput) -> TargetScore:
        raise unprepared("this vote of neighbors")


@dataclass(frozen=True, eq=False)
class Vote:
    """score(c) = Σ over the k nearest of class c of exp(similarity / T); those of the winning class count."""

    index: Int[Tensor, " m"]
    classes: tuple[str, ...]
    k: int
    temperature: float
    weighted: bool
    which: str | int | Sequence[str | int] | None
    margin: bool

    def __call__(self, pairs: Float[Tensor, "n m"]) -> RuleResult:
        near, at = pairs.topk(min(self.k, pairs.shape[1]), dim=1)
        weight = torch.zeros_like(pairs).scatter_(1, at, (near / self.temperature).softmax(1))
        index = self.index.to(pairs.device)
        own = (index[None] == torch.arange(len(self.classes), device=pairs.device)[:, None]).to(pairs)
        votes = weight @ own.mT
        best = class_indices(self.which, votes, self.classes)
        n = torch.arange(len(pairs), device=pairs.device)
        share = votes[n, best]
        if not bool((share > 0).all()):
            worst = int((share == 0).nonzero()[0])
            raise UndecidedError(
                f"none of the {near.shape[1]} nearest neighbors of image {worst} is of class "
                f"{self.classes[int(best[worst])]}: explain another class, or use more neighbors"
            )
        second = votes.scatter(1, best[:, None], -1).argmax(1)
        a, against = (self._mean(weight * own[c]) for c in (best, second))
        words = tuple(
            f"{self.classes[b]} − {self.classes[c]}" if self.margin else self.classes[b]
            for b, c in zip(best.tolist(), second.tolist(), strict=True)
        )
        spec = {
            "kind": "neighbors", "k": self.k, "temperature": self.temperature, "classes": list(self.classes),
            "class": best.tolist(), "against": second.tolist(), "margin": self.margin,
        }  # fmt: skip
        return RuleResult(a - against if self.margin else a, words, spec, a - against, None if self.margin else share)

    def _mean(self, weight: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
        weight = weight if self.weighted else (weight > 0).to(weight)
        return weight / weight.sum(1, keepdim=True).clamp(min=1e-30)

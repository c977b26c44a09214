"""Few-shot decisions: the class whose few labeled examples are closest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import torch
from torch import Tensor

from foveal.errors import TargetError, UnknownTarget
from foveal.similarity import MetricLike, find_metric
from foveal.similarity.head import LinearHead, fit_head
from foveal.targets.classes import class_indices
from foveal.targets.reference import ReferenceTarget, RuleResult, check_embedding, numbered
from foveal.targets.similar import unprepared
from foveal.targets.target import ModelOutput, Target, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.engine.select import LayerName
    from foveal.targets.target import Embedder

RuleName: TypeAlias = "Literal['mean', 'nearest', 'average', 'logistic', 'svm']"
HEADS = ("logistic", "svm")
RULES = ("mean", "nearest", "average", *HEADS)


@dataclass(frozen=True, eq=False)
class Prototypes:
    """The class that a few labeled examples make most likely: n-way, n-shot.

        foveal.Prototypes(["jay1.jpg", "jay2.jpg", "crow1.jpg"], ["jay", "jay", "crow"])

    Args:
        support: the examples, images or their embeddings (m, d).
        labels: the class of each, names or numbers.
        metric: what compares with them.
        rule: "mean": with the mean of each class (ProtoNet); "nearest": with its closest example; "average": the
            similarities of its examples averaged; "logistic", "svm": a linear head fitted on the support's unit
            embeddings (RFS), to which the metric does not matter.
        which: the class explained, or one per image; None is the predicted class.
        margin: explain that class less the strongest other.
        temperature: probabilities are the softmax of the classes' similarities over it.
        embedding: the layer that is compared, by name or as a module of the model; None finds it.
    """

    support: Any
    labels: Sequence[str | int]
    metric: MetricLike = "cosine"
    rule: RuleName = "mean"
    which: str | int | Sequence[str | int] | None = None
    margin: bool = False
    temperature: float = 0.1
    embedding: LayerName | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return (cast("str", self.embedding),) if self.embedding else ()

    def prepare(self, embedder: Embedder) -> Target:
        if self.rule not in RULES:
            raise UnknownTarget(f"cannot decide between prototypes by {self.rule!r}: the rules are {', '.join(RULES)}")
        if not self.temperature > 0:
            raise TargetError(f"a temperature of {self.temperature} gives no probabilities: it must be above 0")
        metric = find_metric(self.metric)
        if metric.local and self.rule not in ("nearest", "average"):
            raise TargetError(
                f"rule {self.rule!r} needs one embedding per image, and metric {metric.name!r} compares positions: "
                "use rule='average' or 'nearest'"
            )
        layer = embedder.layer(cast("str | None", self.embedding), local=metric.local)
        s, names = embedder.of(self.support, layer, local=metric.local, what="support picture")
        check_embedding(s, names, what="support picture", scale_free=metric.scale_free)
        index, classes = numbered(self.labels, len(s), what="support pictures")
        rule = self.rule
        if rule in HEADS:
            s, metric = fit_head(s, index, rule), LinearHead()
        elif rule == "mean":
            s = torch.stack([s[index == c].mean(0) for c in range(len(classes))])
        if rule in (*HEADS, "mean"):
            index, rule = torch.arange(len(classes)), "mean"
        return ReferenceTarget(
            s, metric, ClosestClass(index, classes, rule, self.which, self.margin, self.temperature), layer
        )

    def decide(self, outcome: ModelOutput) -> TargetScore:
        raise unprepared("this few-shot decision")


@dataclass(frozen=True, eq=False)
class ClosestClass:
    """The class with the highest similarity: of its closest reference, or the mean of its references."""

    index: Int[Tensor, " m"]
    classes: tuple[str, ...]
    rule: str
    which: str | int | Sequence[str | int] | None
    margin: bool
    temperature: float

    def __call__(self, pairs: Float[Tensor, "n m"]) -> RuleResult:
        counts = self.counts(pairs)
        scores = torch.einsum("ncm,nm->nc", counts, pairs)
        best = class_indices(self.which, scores, self.classes)
        second = scores.scatter(1, best[:, None], -torch.inf).argmax(1)
        n = torch.arange(len(pairs), device=pairs.device)
        against = counts[n, second]
        chance = (scores / self.temperature).softmax(1)[n, best]
        words = tuple(
            f"{self.classes[b]} − {self.classes[a]}" if self.margin else self.classes[b]
            for b, a in zip(best.tolist(), second.tolist(), strict=True)
        )
        spec = {
            "kind": "prototypes", "rule": self.rule, "classes": list(self.classes),
            "class": best.tolist(), "against": second.tolist(), "margin": self.margin,
        }  # fmt: skip
        a = counts[n, best]
        return RuleResult(a - against if self.margin else a, words, spec, a - against, None if self.margin else chance)

    def counts(self, pairs: Float[Tensor, "n m"]) -> Float[Tensor, "n c m"]:
        """How much each reference counts for each class."""
        index = self.index.to(pairs.device)
        own = (index[None] == torch.arange(len(self.classes), device=pairs.device)[:, None]).to(pairs)
        if self.rule == "nearest":
            of_class = torch.where(own[None] > 0, pairs[:, None], -torch.inf)
            return torch.zeros_like(of_class).scatter_(2, of_class.argmax(2, keepdim=True), 1)
        return (own / own.sum(1, keepdim=True)).expand(len(pairs), -1, -1)

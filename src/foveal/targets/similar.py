"""Similarity to a reference as the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from foveal.errors import TargetError
from foveal.similarity import MetricLike, find_metric
from foveal.targets.reference import ReferenceTarget, RuleResult, check_embedding
from foveal.targets.target import ModelOutput, Target, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.select import LayerName
    from foveal.targets.target import Embedder


@dataclass(frozen=True, eq=False)
class Similar:
    """How similar an image's embedding is to that of a reference; larger is closer, whatever the metric.

        foveal.explain(model, "query.jpg", foveal.Similar("shelf.jpg"))
        foveal.Similar(["a.jpg", "b.jpg"], metric="euclidean")          # one reference per image

    Args:
        reference: an image, or one per image; or their embeddings, a tensor (d,) or (n, d).
        metric: "cosine", "dot", "euclidean", "squared", "emd", "nearest", "crossattention", or an object.
        embedding: the layer that is compared, by name or as a module of the model; None finds it (see
            `foveal.find_embedding`).
    """

    reference: Any
    metric: MetricLike = "cosine"
    embedding: LayerName | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return (cast("str", self.embedding),) if self.embedding else ()

    def prepare(self, embedder: Embedder) -> Target:
        metric = find_metric(self.metric)
        layer = embedder.layer(cast("str | None", self.embedding), local=metric.local)
        s, names = embedder.of(self.reference, layer, local=metric.local, what="reference")
        check_embedding(s, names, what="reference", scale_free=metric.scale_free)
        return ReferenceTarget(s, metric, OneEach(tuple(names), metric.name), layer)

    def decide(self, outcome: ModelOutput) -> TargetScore:
        raise unprepared("this similarity")


@dataclass(frozen=True)
class OneEach:
    """The only reference, or the i-th for the i-th image."""

    names: tuple[str, ...]
    metric: str

    def __call__(self, pairs: Float[Tensor, "n m"]) -> RuleResult:
        n, m = pairs.shape
        if m not in (1, n):
            raise TargetError(f"{m} references were given for {n} images: give one, or one per image")
        a = torch.eye(n, m).to(pairs) if m > 1 else torch.ones_like(pairs)
        names = self.names if m > 1 else self.names * n
        words = tuple(f"{self.metric} to {name}" for name in names)
        return RuleResult(a, words, {"kind": "similar", "reference": list(names)})


def unprepared(what: str) -> TargetError:
    """What is wrong with a decision whose references were never embedded."""
    return TargetError(
        f"{what} was not used with a model yet, so its references have no embeddings: pass it to explain"
    )

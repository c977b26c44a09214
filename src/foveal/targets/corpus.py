"""Similarity to some pictures and not to others as the decision."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from foveal.images import pictures_in
from foveal.similarity import MetricLike, find_metric
from foveal.targets.reference import ReferenceTarget, RuleResult, check_embedding
from foveal.targets.similar import unprepared
from foveal.targets.target import ModelOutput, Target, TargetScore

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.select import LayerName
    from foveal.targets.target import Embedder


@dataclass(frozen=True, eq=False)
class Corpus:
    """How much more similar an image is to these pictures than to those: the mean similarity to each, less the other.

        foveal.explain(model, "query.jpg", foveal.Corpus("jays/", "crows/"))
        foveal.Corpus(["a.jpg", "b.jpg"])                                # to these, whatever else there is

    For embeddings of which no single number has a meaning, so that the pictures say what is asked (contrastive corpus
    similarity: Lin et al., ICLR 2023, arXiv:2210.00107). With one picture it is `foveal.Similar`.

    Args:
        like: images and folders of them, or embeddings (m, d).
        unlike: the same, for what the image is told from; None for nothing.
        metric: what compares, as of `foveal.Similar`; larger is closer, whatever the metric.
        embedding: the layer that is compared, by name or as a module of the model; None finds it.
    """

    like: Any
    unlike: Any = None
    metric: MetricLike = "cosine"
    embedding: LayerName | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return (cast("str", self.embedding),) if self.embedding else ()

    def prepare(self, embedder: Embedder) -> Target:
        metric = find_metric(self.metric)
        layer = embedder.layer(cast("str | None", self.embedding), local=metric.local)
        sides: list[Tensor] = []
        said: list[str] = []
        for given, what in ((self.like, "picture of like"), (self.unlike, "picture of unlike")):
            if given is None and sides:
                continue
            s, names = embedder.of(_files(given), layer, local=metric.local, what=what)
            check_embedding(s, names, what=what, scale_free=metric.scale_free)
            sides.append(s)
            said.append(_said(given, names))
        weights = torch.cat([torch.full((len(s),), sign / len(s)) for s, sign in zip(sides, (1, -1), strict=False)])
        rule = WeightedMean(weights, tuple(len(s) for s in sides), f"{metric.name} to {' − to '.join(said)}")
        return ReferenceTarget(torch.cat(sides), metric, rule, layer)

    def decide(self, outcome: ModelOutput) -> TargetScore:
        raise unprepared("this similarity")


@dataclass(frozen=True, eq=False)
class WeightedMean:
    """The same references for all images, each with its weight: 1/m of those like it, −1/m of the others."""

    weights: Float[Tensor, " m"]
    counts: tuple[int, ...]
    words: str

    def __call__(self, pairs: Float[Tensor, "n m"]) -> RuleResult:
        spec = {"kind": "corpus", "like": self.counts[0], "unlike": sum(self.counts[1:])}
        return RuleResult(self.weights.to(pairs).expand_as(pairs), (self.words,) * len(pairs), spec)


def _files(given: Any) -> Any:
    """The same with folders replaced by the pictures in them."""
    if isinstance(given, str | os.PathLike):
        return pictures_in([Path(given)])
    if isinstance(given, Iterable) and not isinstance(given, Tensor):
        every = [_files(one) if isinstance(one, str | os.PathLike) else [one] for one in given]
        return [one for some in every for one in some]
    return given


def _said(given: Any, names: list[str]) -> str:
    """One by its name; several by their number, and the folder where they are from one."""
    if len(names) == 1:
        return names[0]
    folder = f" of {given}" if isinstance(given, str | os.PathLike) else ""
    return f"{len(names)} images{folder}"

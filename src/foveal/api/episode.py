"""A few-shot decision and the evidence for each of its classes: `foveal.episode`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from foveal.api.explain import explain
from foveal.attribution.prepare import Inquiry, prepare
from foveal.engine.keywords import checked
from foveal.errors import TargetError
from foveal.images import Batch, load_images
from foveal.models.model import Model
from foveal.results.episode import Episode
from foveal.results.provenance import versions
from foveal.targets import Prototypes
from foveal.targets.prototypes import ClosestClass
from foveal.targets.reference import ReferenceTarget, names_of

if TYPE_CHECKING:
    from foveal.attribution.perturbation import Progress
    from foveal.engine.select import LayerSpec
    from foveal.engine.task import Task
    from foveal.images import ImageLike, Photo, Preprocessing
    from foveal.similarity import MetricLike
    from foveal.targets.prototypes import RuleName


@checked
def episode(
    model: nn.Module | Model,
    query: ImageLike | Batch,
    support: ImageLike | Batch,
    labels: Sequence[str | int],
    *,
    method: str = "fam:weights=linear",
    rule: RuleName = "mean",
    metric: MetricLike = "cosine",
    temperature: float = 0.1,
    layer: LayerSpec = None,
    embedding: str | None = None,
    preprocessing: Preprocessing | None = None,
    task: Task | None = None,
    progress: Progress | None = None,
) -> Episode:
    """Which of the support's classes, and what on the query speaks for each of them.

        support, labels = foveal.images.labelled_pictures("support/")       # a folder a class
        foveal.episode(model, "query.jpg", support, labels).figure().save("episode.png")

    Args:
        query: pictures, as `explain` takes them.
        support, labels: the examples and the class of each; they are embedded once.
        method: any method of `foveal methods`. Of FAM's weights `linear` alone may be compared between classes: its
            maps sum to the similarities, the others are scaled for each.
        rule, metric, temperature, embedding: as in `foveal.Prototypes`.
        layer: where the maps are drawn; one layer.
        task: as in `match`.

    Raises:
        FovealError: as `explain`, in one sentence.
    """
    began = time.perf_counter()
    decision = Prototypes(support, labels, metric=metric, rule=rule, temperature=temperature, embedding=embedding)
    inquiry = prepare(model, query, decision, preprocessing=preprocessing, task=task)
    if len(inquiry.layers(layer)) != 1:
        raise TargetError("an episode is drawn at one layer: name one")
    compared, closest = inquiry.decision, getattr(inquiry.decision, "rule", None)
    assert isinstance(compared, ReferenceTarget) and isinstance(closest, ClosestClass)
    evidence = {}
    for number, name in enumerate(closest.classes):
        target = replace(compared, rule=replace(closest, which=name))
        evidence[name] = explain(inquiry.subject, inquiry.batch, target, method=method, layer=layer)
        if progress:
            progress("classes", number + 1, len(closest.classes))
    chances = [why.probability for why in evidence.values() if why.probability is not None]
    return Episode(evidence, _examples(support, names_of(labels), inquiry), torch.stack(chances, 1), inquiry.notes,
                   time.perf_counter() - began, versions())  # fmt: skip


def _examples(support: ImageLike | Batch, names: Sequence[str], inquiry: Inquiry) -> dict[str, tuple[Photo, ...]]:
    """The pictures of each class; none where the support was given as embeddings."""
    if isinstance(support, Tensor) and support.ndim <= 2:
        return dict.fromkeys(dict.fromkeys(names), ())
    photos = load_images(support, inquiry.subject.preprocessing, axes=inquiry.batch.tensor.ndim - 2).photos
    return {
        c: tuple(photo for photo, name in zip(photos, names, strict=True) if name == c) for c in dict.fromkeys(names)
    }

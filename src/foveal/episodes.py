"""A few-shot decision and the evidence for each of its classes: `foveal.episode`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from foveal.api import explain
from foveal.decisions import Prototypes
from foveal.decisions.comparison import Compared, embedded
from foveal.engine.capture import capture
from foveal.errors import TargetError
from foveal.images import Batch, load_images
from foveal.inquiry import inquire
from foveal.models.model import Model
from foveal.results.episode import Episode

if TYPE_CHECKING:
    from foveal.decisions.prototypes import RuleName
    from foveal.engine.select import LayerSpec
    from foveal.images import ImageLike, Preprocessing
    from foveal.probe import Progress
    from foveal.similarity import MetricLike


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

    Raises:
        FovealError: as `explain`, in one sentence.
    """
    decision = Prototypes(support, labels, metric=metric, rule=rule, temperature=temperature, embedding=embedding)
    inquiry = inquire(model, query, decision, preprocessing=preprocessing)
    compared = inquiry.decision
    assert isinstance(compared, Compared)
    closest: Any = compared.rule
    evidence = {}
    for number, name in enumerate(closest.classes):
        target = replace(compared, rule=replace(closest, which=name))
        evidence[name] = explain(inquiry.subject, inquiry.batch, target, method=method, layer=layer)
        if progress:
            progress("classes", number + 1, len(closest.classes))
    if any(len(why.layers) != 1 for why in evidence.values()):
        raise TargetError("an episode is drawn at one layer: name one")
    photos = load_images(support, inquiry.subject.preprocessing).photos
    names = [str(label) for label in labels]
    return Episode(
        evidence,
        {c: tuple(p for p, name in zip(photos, names, strict=True) if name == c) for c in evidence},
        _chances(inquiry.subject.module, inquiry.batch, compared),
    )


def _chances(module: nn.Module, batch: Batch, compared: Compared) -> torch.Tensor:
    """(n, classes)."""
    rule: Any = compared.rule
    with torch.no_grad(), capture(module, [compared.layer], gradient=False) as run:
        run.forward(batch.tensor)
        q = embedded(run.activations[compared.layer], local=compared.metric.local)
        return rule.chances(compared.metric.score(q[:, None], compared.s.to(q)[None]))  # type: ignore[no-any-return]

"""`foveal.episode`: a few-shot decision, and the evidence for each class."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from foveal.api.explain import explanations
from foveal.api.joined import check_parts, class_parts
from foveal.attribution.context import Context
from foveal.attribution.prepare import prepare
from foveal.engine.keywords import checked
from foveal.errors import TargetError
from foveal.images import Batch, load_images
from foveal.methods import MethodLike, find_methods
from foveal.models.model import Model
from foveal.results.episode import Episode
from foveal.results.provenance import versions
from foveal.targets import Prototypes
from foveal.targets.prototypes import ClosestClass
from foveal.targets.reference import ReferenceTarget, names_of

if TYPE_CHECKING:
    from foveal.attribution.perturbation import Progress
    from foveal.engine.select import LayerName, LayerSpec
    from foveal.engine.task import Task
    from foveal.images import ImageLike, Photo, Preprocessing
    from foveal.similarity import MetricLike
    from foveal.targets.prototypes import RuleName


@checked
def episode(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    support: ImageLike | Batch,
    classes: Sequence[str | int],
    *,
    query_labels: Sequence[str | int] | None = None,
    method: MethodLike = "fam:weights=linear",
    rule: RuleName = "mean",
    metric: MetricLike = "cosine",
    temperature: float = 0.1,
    layer: LayerSpec = None,
    embedding: LayerName | None = None,
    parts: int = 0,
    preprocessing: Preprocessing | None = None,
    task: Task | None = None,
    progress: Progress | None = None,
) -> Episode:
    """The most likely of the support's classes, and the evidence on the query for each of them.

        support, classes = foveal.images.labeled_pictures("support/")      # one folder per class
        foveal.episode(model, "query.jpg", support, classes).figure().save("episode.png")

    Args:
        images: the queries, as `explain` takes them.
        support, classes: the examples and the class of each; examples are embedded once.
        query_labels: the class of each query, where known: the result then says which are wrong.
        method: any method of `foveal methods`. Of FAM's weights only `linear` can be compared between classes: its
            maps sum to the similarities, the others are scaled for each class.
        rule, metric, temperature, embedding: as in `foveal.Prototypes`.
        layer: the layer of the maps; one only.
        parts: divide each similarity to a class among so many parts that lie on the query and on the class's examples:
            `episode.parts(i)`; 0 for none.
        task: as in `match`.

    Raises:
        FovealError: as in `explain`, in one sentence.
    """
    began = time.perf_counter()
    check_parts(parts, support, rule)
    decision = Prototypes(support, classes, metric=metric, rule=rule, temperature=temperature, embedding=embedding)
    context = prepare(model, images, decision, preprocessing=preprocessing, task=task)
    labels, n = () if query_labels is None else tuple(names_of(query_labels)), len(context.x)
    if query_labels is not None and len(labels) != n:
        raise TargetError(f"query_labels has {len(labels)} labels for {n} queries: give {n} labels")
    if len(context.layers(layer)) != 1:
        raise TargetError(f"an episode has maps at one layer, but {len(context.layers(layer))} were given: name one")
    compared, closest = context.target, getattr(context.target, "rule", None)
    assert isinstance(compared, ReferenceTarget) and isinstance(closest, ClosestClass)
    evidence, chosen = {}, find_methods([method])
    for number, name in enumerate(closest.classes):
        target = replace(compared, rule=replace(closest, which=name))
        (evidence[name],) = explanations(replace(context, target=target), chosen, layer)
        if progress:
            progress("explaining classes", number + 1, len(closest.classes))
    notes = [*context.notes]
    joined = class_parts(context, layer, support, names_of(classes), parts, notes, progress) if parts else ()
    chances = [why.probability for why in evidence.values() if why.probability is not None]
    return Episode(
        evidence, _examples(support, names_of(classes), context), torch.stack(chances, 1), tuple(dict.fromkeys(notes)),
        time.perf_counter() - began, versions(), labels, joined,
    )  # fmt: skip


def _examples(support: ImageLike | Batch, names: Sequence[str], context: Context) -> dict[str, tuple[Photo, ...]]:
    """The pictures of each class; none where the support was given as embeddings."""
    if isinstance(support, Tensor) and support.ndim <= 2:
        return dict.fromkeys(dict.fromkeys(names), ())
    photos = load_images(support, context.subject.preprocessing, axes=context.x.ndim - 2).photos
    return {
        c: tuple(photo for photo, name in zip(photos, names, strict=True) if name == c) for c in dict.fromkeys(names)
    }

"""`foveal.match` of every picture with the reference that is most similar to it, out of one gallery."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from foveal.api.gallery import embedded_few_at_a_time, read_like, similarities
from foveal.api.match import match
from foveal.attribution.embedding import ModelEmbedder
from foveal.attribution.prepare import check_pictures
from foveal.datasets.listing import DataSet, listed, source_of
from foveal.errors import ImageError, LayerError, MethodError, TargetError, shown
from foveal.images.image_source import ImageSource
from foveal.methods import find_methods
from foveal.render.scale import number, percent
from foveal.results import Explanation
from foveal.runs.verbs.verb import Ask, Columns, Decides, known
from foveal.similarity import MetricLike, find_metric
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.targets.reference import check_embedding, embedded

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

    from foveal.attribution.context import Context
    from foveal.engine.select import LayerSpec
    from foveal.models.model import Model

NEVER = float("-inf")
SMALL = 0.01
"""The part of a similarity that may belong to no position without a remark."""


@dataclass(frozen=True, kw_only=True)
class MatchEach:
    """Which reference is most similar to each picture, and the evidence for that on the picture.

    Attributes:
        references: a folder, whose folders are labels where every picture lies in one; a list of files; or a table of
            paths and labels.
        metric, weights, layer, embedding: as in `foveal.match`.
    """

    name: ClassVar[str] = "match"
    decides: ClassVar[Decides] = "never"
    alone: ClassVar[bool] = False

    references: DataSet | None = None
    metric: MetricLike = "cosine"
    weights: str = "contribution"
    layer: LayerSpec = None
    embedding: str | None = None
    gallery: tuple[Reference, ...] = field(init=False, repr=False)
    root: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.references is None:
            raise MethodError(
                "a match needs images to compare with: give a folder, a list or a table of them by references="
            )
        source = source_of(self.references)
        rows: Sequence[tuple[Any, ...]] = listed(self.references, source)
        gallery = []
        for name, label, *inside in rows:
            if inside:
                raise ImageError(f"References must be image files, and {shown(name)} lies inside of a file: unpack it.")
            gallery.append(Reference(name, source.root / name, label))
        object.__setattr__(self, "gallery", tuple(gallery))
        object.__setattr__(self, "root", str(source.root.absolute()))
        find_metric(self.metric)

    def made_by(self, model: Model) -> str:
        return next(iter(find_methods([f"fam:weights={self.weights}"])))

    def settings(self) -> Mapping[str, Any]:
        try:
            files = [[entry.name, entry.label, file_fingerprint(entry.path)] for entry in self.gallery]
        except OSError as error:
            raise ImageError(f"Cannot read the reference {shown(error.filename)}: {error.strerror}.") from error
        return {
            "references": fingerprint(files=files),
            "metric": fingerprint(metric=find_metric(self.metric)),
            "channel_weights": self.weights,
            "layer": one_layer(self.layer),
            "embedding": self.embedding,
        }

    def begin(self, model: Model) -> Ask:
        return Matcher(self, model)


@dataclass(frozen=True)
class Reference:
    """A picture that others are compared with: its name in the gallery, its file, and its label if it has one."""

    name: str
    path: Path
    label: str | None


class Matcher:
    """Compares pictures with references that were embedded once."""

    def __init__(self, asked: MatchEach, model: Model) -> None:
        self.asked, self.model, self.metric = asked, model, find_metric(asked.metric)
        self.notes: list[str] = [*model.notes]
        self._vectors: Tensor | None = None
        self._places: dict[str, list[int]] = {}
        for j, reference in enumerate(asked.gallery):
            self._places.setdefault(os.path.realpath(reference.path), []).append(j)
        labels = [reference.label for reference in asked.gallery]
        numbers = {label: k for k, label in enumerate(dict.fromkeys(labels))}
        self._labels = torch.tensor([numbers[label] for label in labels])

    def __call__(self, context: Context) -> Columns:
        check_pictures(context.batch, "matches")
        embedder = ModelEmbedder(self.model, context.x, context.arguments, [])
        vectors = self._embedded(context, embedder)
        activations = torch.cat([activation for (activation,) in embedder.through(context.x, [self._site])])
        v = embedded(activations, local=self.metric.local).detach()
        names = [photo.source for photo in context.photos]
        check_embedding(v, names, what="image", scale_free=self.metric.scale_free)
        similarity = similarities(self.metric, v, vectors)
        for i, name in enumerate(names):  # no file is compared with itself
            similarity[i, self._places.get(os.path.realpath(name), [])] = NEVER
        if bool((similarity.amax(1) == NEVER).any()):
            raise TargetError("there is no reference but the image itself")
        return self._columns(context, similarity, similarity.argmax(1).tolist())

    def _embedded(self, context: Context, embedder: ModelEmbedder) -> Tensor:
        """The vectors of the references, when they are first needed: then it is known what an input looks like."""
        if self._vectors is None:
            finder = ModelEmbedder(self.model, context.x, context.arguments, self.notes)
            self._site = finder.layer(self.asked.embedding, local=self.metric.local)
            files = [str(reference.path) for reference in self.asked.gallery]
            self._images = ImageSource(files, partial(read_like, self.model, context.x))
            try:
                self._vectors = embedded_few_at_a_time(embedder, self._images, self._site, self.metric, "reference")
            except ImageError as error:  # not of the picture that is compared
                raise TargetError(f"a reference cannot be read: {error}") from error
        return self._vectors

    def _columns(self, context: Context, similarity: Float[Tensor, "n m"], best: Sequence[int]) -> Columns:
        gallery, asked = self.asked.gallery, self.asked
        several = [*dict.fromkeys(best)]
        pairs = match(
            self.model, context.batch, self._images.some(several), metric=self.metric, weights=asked.weights,
            layer=one_layer(asked.layer), embedding=self._site, lines=0,
        )  # fmt: skip
        own = torch.arange(len(best)), torch.tensor([several.index(j) for j in best])
        why = Explanation(
            maps={pairs.layer: pairs.query_maps[own]},
            where={pairs.layer: pairs.query_where} if pairs.query_where else {},
            photos=context.photos, score=pairs.similarity[own], probability=None,
            target=tuple(f"{self.metric.name} to {gallery[j].name}" for j in best),
            target_spec={"kind": "similar", "metric": self.metric.name, "embedding": self._site},
            method=asked.made_by(self.model), parameters={}, model=self.model.name, versions=pairs.versions,
        )  # fmt: skip
        texts: dict[str, list[str | None]] = {
            "predicted": [gallery[j].label for j in best],
            "match": [gallery[j].name for j in best],
        }
        margins = {"margin": [known(self._margin(row, j)) for row, j in zip(similarity, best, strict=True)]}
        notes = (*self.notes, *_shared(pairs.notes, self.notes))
        return Columns(why, margins, texts, self._remarks(why), notes, asked={"references": self.asked.root})

    def _margin(self, similarity: Float[Tensor, " m"], best: int) -> float:
        """By how much the best is ahead of the next one, of another label where there are labels; NaN without one."""
        same = torch.arange(len(similarity)) == best
        if self.asked.gallery[best].label is not None:
            same = self._labels == self._labels[best]
        next_best = float(similarity.masked_fill(same.to(similarity.device), NEVER).amax())
        return float("nan") if next_best == NEVER else float(similarity[best]) - next_best

    def _remarks(self, why: Explanation) -> list[list[str]]:
        """What of each similarity lies at no position, where the map is to sum to it."""
        assert why.score is not None
        if self.asked.weights != "linear":
            return [[] for _ in why.target]
        left = (why.score - why.map.flatten(1).sum(1).to(why.score)) / why.score.abs().clamp(min=1e-30)
        return [
            [f"{percent(abs(share))} of the {self.metric.name} {number(score)} belong to no position"]
            if abs(share) > SMALL
            else []
            for share, score in zip(left.tolist(), why.score.tolist(), strict=True)
        ]


def one_layer(layer: LayerSpec) -> Any:
    """The layer itself where a list names one.

    Raises:
        LayerError: where it names several.
    """
    if not isinstance(layer, list | tuple):
        return layer
    if len(layer) != 1:
        raise LayerError(f"a match has maps of one layer, but {len(layer)} were named")
    return layer[0]


def _shared(notes: Sequence[str], known: Sequence[str]) -> list[str]:
    """Those that hold for every pair; that of a remainder is about the first."""
    return [note for note in notes if note not in known and "belongs to no position" not in note]

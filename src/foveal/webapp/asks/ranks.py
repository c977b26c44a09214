"""The other photos by their similarity to one, and what sets two of them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from torch import Tensor

from foveal.api.match import match
from foveal.attribution.embedding import ModelEmbedder
from foveal.attribution.prepare import read
from foveal.engine.arguments import extra_inputs
from foveal.report.answers.ranks import ContrastAnswer, RankedPhoto, RanksAnswer, contrast_answer
from foveal.results.contrast import Contrast
from foveal.similarity import find_metric
from foveal.targets.reference import check_embedding
from foveal.webapp.ask import PhotoQuery, Progress, ask
from foveal.webapp.asks.match import PairQuery

if TYPE_CHECKING:
    from foveal.similarity import Distance
    from foveal.webapp.studio import Studio

MOST_PHOTOS = 5000


class RanksQuery(PhotoQuery):
    """The order of other photos.

    Attributes:
        among: the hashes of the photos that are compared with it.
        metric: how embeddings are compared; see `foveal.Similar`.
    """

    among: list[str] = Field(min_length=1, max_length=MOST_PHOTOS)
    metric: str = Field(default="cosine", max_length=40)


@ask("ranks")
def ranks(studio: Studio, query: RanksQuery, progress: Progress) -> RanksAnswer:
    """One forward pass up to the embedding for each photo that was not seen before."""
    metric, others = find_metric(query.metric), [hash for hash in query.among if hash != query.photo]
    embedded = Embeddings.of(studio, query.model, metric)
    q = embedded[query.photo]
    scores = []
    for done, hash in enumerate(others, 1):
        scores.append((float(metric.score(q, embedded[hash])), hash))
        progress("photos compared", done, len(others))
    return RanksAnswer(
        ranked=[
            RankedPhoto(photo=hash, value=metric.value(score))
            for score, hash in sorted(scores, key=lambda one: -one[0])
        ],
        metric=metric.name,
        distance=metric.value(1.0) < 0,
        embedding=embedded.layer,
        notes=embedded.notes,
    )


class ContrastQuery(PairQuery):
    """What sets the second photo apart from a third: why the first is more like the one.

    Attributes:
        than: the hash of the third.
    """

    than: str = Field(max_length=64)


@ask("contrast")
def contrast(studio: Studio, query: ContrastQuery, progress: Progress) -> ContrastAnswer:
    """The evidence for the one less the evidence for the other, each with linear weights: it sums to the margin."""
    images = [studio.photo(hash).image for hash in (query.photo, query.other, query.than)]
    pair = match(
        studio.model(query.model), images[:1], images[1:], metric=query.metric, weights="linear", lines=0,
        progress=progress,
    )  # fmt: skip
    both = Contrast(
        query=0,
        wrong=0,
        right=1,
        query_photo=pair.queries[0],
        wrong_photo=pair.references[0],
        right_photo=pair.references[1],
        similarities=(float(pair.similarity[0, 0]), float(pair.similarity[0, 1])),
        query_map=pair.query_maps[0, 0] - pair.query_maps[0, 1],
        wrong_map=pair.reference_maps[0, 0],
        right_map=pair.reference_maps[0, 1],
        query_where=pair.query_where,
        reference_where=pair.reference_where,
    )
    return contrast_answer(both, pair)


class Embeddings:
    """The embedding of each photo by one model, made when first needed."""

    def __init__(self, studio: Studio, model: str, metric: Distance) -> None:
        self._studio, self._model, self._local = studio, studio.model(model), metric.local
        self._scale_free, self._known = metric.scale_free, dict[str, Tensor]()
        self.layer, self.notes = "", list[str]()

    @classmethod
    def of(cls, studio: Studio, model: str, metric: Distance) -> Embeddings:
        """Those that are kept for metrics that look at a network in the same way."""
        key = ("embeddings", model, metric.local, metric.scale_free)
        return studio.kept(key, lambda: cls(studio, model, metric))

    def __getitem__(self, hash: str) -> Tensor:
        """(d,), or (d, h, w) where positions are compared."""
        if hash not in self._known:
            photo = self._studio.photo(hash)
            x = read(self._model, [photo.image]).tensor
            notes = list[str]()
            embedder = ModelEmbedder(self._model, x, extra_inputs(1, (), None), notes)
            self.layer = embedder.layer(None, local=self._local)
            self.notes = [*self._model.notes, *notes]
            vectors, _ = embedder.of([photo.image], self.layer, local=self._local, what="photo")
            check_embedding(vectors, [photo.name], what="photo", scale_free=self._scale_free)
            self._known[hash] = vectors[0].detach()
        return self._known[hash]

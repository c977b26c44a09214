"""Many queries against a gallery: which first matches are wrong, where the wrong one won, and what flips it.

    gallery ──▶ embeddings, once ──▶ similarities (n, m) ──▶ rank-1, mAP, CMC
                                                        └──▶ for the queries that are shown:
                                                             margin map = map(wrong) − map(right), FAM, linear weights

Images are read a few at a time and forgotten; photos and maps are kept of what is shown only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal.api.gallery import embedded_few_at_a_time, read_like, similarities
from foveal.api.match import match
from foveal.api.rank_flip import rank_flip
from foveal.attribution.embedding import ModelEmbedder
from foveal.attribution.prepare import check_pictures, read
from foveal.engine.arguments import extra_inputs
from foveal.engine.graph import recording
from foveal.engine.guard import unwrap
from foveal.engine.keywords import checked
from foveal.engine.select import last_stage_before
from foveal.engine.stages import describe
from foveal.errors import MethodError, TargetError
from foveal.images import Batch
from foveal.images.image_source import ImageSource
from foveal.metrics.baselines import Fill
from foveal.models.model import Model, as_model
from foveal.results.contrast import Contrast
from foveal.results.provenance import versions
from foveal.results.retrieval import Retrieval
from foveal.similarity import Distance, MetricLike, find_metric
from foveal.targets.reference import embedded, names_of

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import Progress
    from foveal.engine.task import Task
    from foveal.images import ImageLike, Preprocessing

SHOWN = 20
REMAINDER = "belongs to no position"  # in the note of a pair: of all contrasts together there is one


@checked
@recording
def retrieve(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    references: ImageLike | Batch,
    *,
    query_labels: Sequence[str | int] | Tensor | None = None,
    reference_labels: Sequence[str | int] | Tensor | None = None,
    show: int | None = None,
    metric: MetricLike = "cosine",
    layer: str | None = None,
    embedding: str | None = None,
    fill: Fill = "impute",
    draws: int = 10,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    task: Task | None = None,
    progress: Progress | None = None,
) -> Retrieval:
    """Rank-1, mAP and CMC of queries against a gallery, and for wrong first matches why the wrong one won.

        found = foveal.retrieve(model, queries, gallery, query_labels=persons, reference_labels=others)
        print(found)                      # 12 of 40 queries have a wrong first match: rank-1 70.0 %, mAP 61.2 %, …
        found.contrasts[0].query_map      # (h, w), evidence for the wrong match less that for the right one
        found.contrasts[0].flip.share     # the share of the query to hide until the first match is right

    The gallery is embedded once. A file that is a query too is never compared with itself.

    Args:
        images: the queries, as `explain` takes them; a list of files is read a few files at a time.
        references: the gallery, likewise.
        query_labels, reference_labels: one label for each; without them there are rankings only.
        show: how many queries get maps: the wrong ones with the widest margin first, then right ones with the
            narrowest. None is the wrong ones, 20 at most.
        metric, layer, embedding, inputs, keywords, task: as in `match`.
        fill: what is put in hidden positions, as in `audit`.
        draws: how many areas of equal shape elsewhere are hidden for comparison.

    Raises:
        ModelError, LayerError, TargetError, ImageError: for arguments that do not fit the model, in one sentence.
    """
    began = time.perf_counter()
    if (show is not None and show < 0) or draws < 0:
        raise MethodError(f"show={show} and draws={draws} must be 0 or more")
    subject, chosen = as_model(model, preprocessing, task=task), find_metric(metric)
    queries = ImageSource(images, partial(read, subject))
    first = queries.some([0]).tensor
    check_pictures(Batch(first, ()), "retrievals")
    gallery = ImageSource(references, partial(read_like, subject, first))
    labels = _labels(query_labels, reference_labels, len(queries), len(gallery))
    notes = [*subject.notes]
    arguments = extra_inputs(1, inputs, keywords)
    embedder = ModelEmbedder(subject, first, arguments, notes)
    site = embedder.layer(embedding, local=chosen.local)
    at = layer or last_stage_before(site, describe(unwrap(subject.module), first, arguments), itself=True)
    vectors = embedded_few_at_a_time(embedder, gallery, site, chosen, "reference", progress)
    asked = embedded_few_at_a_time(embedder, queries, site, chosen, "query", progress)
    ranked = Retrieval(
        similarity=torch.cat([similarities(chosen, v[None], vectors) for v in asked]),
        compared=_compared(queries, gallery, notes, labeled=bool(labels[0])),
        queries=queries.names("query"),
        references=gallery.names("reference"),
        query_labels=labels[0],
        reference_labels=labels[1],
        metric=chosen.name,
        distance=chosen.value(1.0) < 0,
        layer=at,
        embedding=site,
        model=subject.name,
    )
    compare = partial(
        match, subject, metric=chosen, weights="linear", layer=at, embedding=site, lines=0, inputs=inputs,
        keywords=keywords,
    )  # fmt: skip
    contrasting = _Contrasting(ranked, embedder, chosen, queries, gallery, vectors, compare, fill, draws)
    chosen_queries = _shown(ranked, show, notes)
    contrasts = []
    for done, i in enumerate(chosen_queries, 1):
        contrasts.append(contrasting(i, notes))
        if progress:
            progress("wrong matches", done, len(chosen_queries))
    return _finished(ranked, contrasts, notes, time.perf_counter() - began)


def _finished(ranked: Retrieval, contrasts: Sequence[Contrast], notes: Sequence[str], seconds: float) -> Retrieval:
    left_out = len(ranked) - len(ranked.counted)
    several = "queries have" if left_out > 1 else "query has"
    lacking = [f"{left_out} {several} no reference with the same label: not counted in rank-1, CMC and mAP"]
    apart = [abs(one.unplaced) > 0.01 * max(abs(one.margin), float(one.query_map.abs().sum())) for one in contrasts]
    said = [*notes, *(lacking if left_out and ranked.query_labels else ())]
    if any(apart):
        said.append(
            f"{sum(apart)} of {len(apart)} margin maps do not sum to the margin: the rest belongs to no position (bias "
            "terms, or the constant part of a distance)"
        )
    return replace(
        ranked, contrasts=tuple(contrasts), notes=tuple(dict.fromkeys(said)), seconds=seconds, versions=versions()
    )


def _labels(
    ours: Sequence[str | int] | Tensor | None, theirs: Sequence[str | int] | Tensor | None, n: int, m: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of both sides as text; none at all where none are given."""
    if ours is None and theirs is None:
        return (), ()
    if ours is None or theirs is None:
        raise TargetError("only one side has labels: give query_labels and reference_labels, or none of them")
    sides = tuple(names_of(ours)), tuple(names_of(theirs))
    for given, count, what, name in (
        (sides[0], n, "queries", "query_labels"), (sides[1], m, "references", "reference_labels")
    ):  # fmt: skip
        if len(given) != count:
            raise TargetError(f"{name} has {len(given)} labels for {count} {what}: give {count} labels")
    return sides


def _compared(queries: ImageSource, gallery: ImageSource, notes: list[str], *, labeled: bool) -> Tensor:
    """Which pairs count: all but a file and itself. Without labels, a query that has no other reference keeps it."""
    numbers: dict[str, list[int]] = {}
    for j, path in enumerate(gallery.real_paths()):
        if path is not None:
            numbers.setdefault(path, []).append(j)
    compared = torch.ones(len(queries), len(gallery), dtype=torch.bool)
    same = {i: numbers[path] for i, path in enumerate(queries.real_paths()) if path is not None and path in numbers}
    for i, own in same.items():
        compared[i, own] = labeled is False and len(own) == len(gallery)
    itself = [i for i in same if bool(compared[i].all())]
    if len(same) > len(itself):
        left_out = len(same) - len(itself)
        several = "queries are files" if left_out > 1 else "query is a file"
        notes.append(f"{left_out} {several} of the gallery, too: no file is compared with itself")
    if itself:
        several = "queries have" if len(itself) > 1 else "query has"
        notes.append(
            f"{len(itself)} {several} no reference but the same file, and the similarity to itself has no meaning"
        )
    return compared


def _shown(ranked: Retrieval, show: int | None, notes: list[str]) -> list[int]:
    """The queries that get maps: the wrong ones by their margin, then the right ones."""
    known = [i for i in ranked.counted if None not in ranked.rivals(i)]
    order = sorted(known, key=lambda i: (-ranked.margin(i), ranked.queries[i]))
    wrong = [i for i in order if i in set(ranked.wrong)]
    right = [i for i in order if i not in set(ranked.wrong)]
    if show is not None:
        return [*wrong, *right][:show]
    if len(wrong) > SHOWN:
        notes.append(
            f"maps are made for {SHOWN} of {len(wrong)} wrong queries, the widest margins first: show=N for more"
        )
    return wrong[:SHOWN]


@dataclass(frozen=True, eq=False)
class _Contrasting:
    """Makes the contrast of a query; the gallery's embeddings stay."""

    ranked: Retrieval
    embedder: ModelEmbedder
    metric: Distance
    queries: ImageSource
    gallery: ImageSource
    vectors: Tensor
    compare: Any
    fill: Fill
    draws: int

    def __call__(self, i: int, notes: list[str]) -> Contrast:
        wrong, right = self.ranked.rivals(i)
        assert wrong is not None and right is not None
        query = self.queries.some([i])
        pair = self.compare(query, self.gallery.some([wrong, right]))
        notes += [note for note in pair.notes if note not in notes and REMAINDER not in note]
        margin_map = pair.query_maps[0, 0] - pair.query_maps[0, 1]
        flip = None
        if i in self.ranked.wrong:
            flip = rank_flip(
                self._ask, query.tensor, margin_map, pair.query_where, torch.from_numpy(self.ranked.right[i]),
                self.ranked.compared[i], wrong, fill=self.fill, draws=self.draws,
            )  # fmt: skip
        similarity = self.ranked.similarity[i]
        return Contrast(
            query=i,
            wrong=wrong,
            right=right,
            query_photo=pair.queries[0],
            wrong_photo=pair.references[0],
            right_photo=pair.references[1],
            similarities=(float(similarity[wrong]), float(similarity[right])),
            query_map=margin_map,
            wrong_map=pair.reference_maps[0, 0],
            right_map=pair.reference_maps[0, 1],
            query_where=pair.query_where,
            reference_where=pair.reference_where,
            flip=flip,
        )

    def _ask(self, x: Float[Tensor, "k c h w"]) -> Float[Tensor, "k m"]:
        """Similarities of altered queries to the whole gallery; an embedding of zeros is similar to nothing."""
        layer = self.ranked.embedding
        activations = torch.cat([activation for (activation,) in self.embedder.through(x, [layer])])
        return similarities(self.metric, embedded(activations, local=self.metric.local), self.vectors)

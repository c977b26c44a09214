"""Why do two images match? `foveal.match`: every query against every reference, evidence on both images.

    A   (n, c, h, w), the map that the embedding is made of        v   (n, d), the embedding
    α   (n, m, d), channel weights of a pair                  map = Σ_c A ⊙ ∂(α·v)/∂A        (see `methods.fam`)

Where v is the mean of A over positions, the derivative is α/hw, and all pairs come from one product. Otherwise the
graph from A to v is kept, with one backward pass through it for each reference.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from foveal.api.joined import pair_parts
from foveal.attribution.embedding import ModelEmbedder, on_device
from foveal.attribution.placing import Whereabouts
from foveal.attribution.prepare import read
from foveal.engine.arguments import extra_inputs
from foveal.engine.graph import recording
from foveal.engine.guard import unwrap
from foveal.engine.keywords import checked
from foveal.engine.overwritten import kept_if_overwritten
from foveal.engine.select import LayerName, last_stage_before
from foveal.engine.stages import describe
from foveal.errors import MethodError, UnknownMethod
from foveal.images import Batch, load_images
from foveal.methods.correspondence import Correspondences, correspond
from foveal.methods.joining import Joining, ReferenceGroup
from foveal.methods.pairwise import Pairs, Side
from foveal.models.model import Model, as_model
from foveal.results.joined_parts import JoinedParts
from foveal.results.match import Match
from foveal.results.provenance import versions
from foveal.similarity import MetricLike, find_metric

if TYPE_CHECKING:
    from foveal.attribution.perturbation import Progress
    from foveal.engine.task import Task
    from foveal.images import ImageLike, Preprocessing

WEIGHTS = ("contribution", "positive", "linear")


@checked
@recording
def match(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    references: ImageLike | Batch,
    *,
    metric: MetricLike = "cosine",
    weights: str = "contribution",
    layer: LayerName | None = None,
    embedding: LayerName | None = None,
    lines: int | None = None,
    parts: int = 0,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    task: Task | None = None,
    progress: Progress | None = None,
) -> Match:
    """Every query against every reference: the similarity, evidence on both images, and corresponding positions.

        pair = foveal.match(model, "query.jpg", ["shelf1.jpg", "shelf2.jpg"])
        pair.similarity, pair.query_maps, pair.reference_maps      # (n, m), (n, m, h, w), (n, m, h, w)
        pair.figure().save("why.png")

    Args:
        images: the queries, as `explain` takes them.
        references: the images that each query is compared with.
        metric: how embeddings are compared; see `foveal.Similar`.
        weights: channel weights of FAM: "contribution" (the published method), "positive" (no weight for channels that
            add nothing), "linear" (signed; the map sums to the similarity, up to the part of bias terms).
        layer: the layer of the maps; None is the last stage before the embedding.
        embedding: the layer whose output is the embedding; None finds it.
        lines: how many pairs of positions to keep for each pair of images; 0 for none. None is 8 where they cost
            little.
        parts: divide each similarity among so many parts that lie on both images: `pair.parts(i, j)`; 0 for none.
        inputs, keywords: further inputs of the model, as in `explain`; the same for all images.
        task: as in `explain`. With "embedding" the model's output is the embedding, with "classes" the input of the
            layer that computes the class scores.

    Maps of all pairs are kept: for many queries and a large gallery use `retrieve`.

    Raises:
        ModelError, LayerError, TargetError, ImageError: for arguments that do not fit the model, in one sentence.
    """
    started = time.perf_counter()
    subject, chosen = as_model(model, preprocessing, task=task), find_metric(metric)
    if weights not in WEIGHTS:
        raise UnknownMethod(f"there are no weights {weights!r} of a match: use {', '.join(WEIGHTS)}")
    if lines is not None and lines < 0:
        raise MethodError(f"lines={lines} is below 0: use 0 for no lines")
    if parts < 0:
        raise MethodError(f"parts={parts} is below 0: use 0 for no parts")
    queries = read(subject, images)
    shelf = on_device(load_images(references, subject.preprocessing, axes=queries.tensor.ndim - 2), queries.tensor)
    arguments = extra_inputs(1, inputs, keywords)
    notes = [*subject.notes]
    embedder = ModelEmbedder(subject, queries.tensor, arguments, notes)
    site = embedder.layer(cast("str | None", embedding), local=chosen.local)
    named = cast("str | None", layer)
    at = named or last_stage_before(site, describe(unwrap(subject.module), queries.tensor, arguments), itself=True)

    def compare() -> tuple[Pairs, tuple[Tensor, Tensor], Correspondences, list[Whereabouts], Joining | None]:
        with ExitStack() as block:

            def side(batch: Batch, what: str) -> Side:
                return Side.of(subject.module, batch, at, site, arguments, chosen, what, block, progress, notes)

            query, reference = side(queries, "query"), side(shelf, "reference")
            compared = Pairs(query, reference, chosen)
            maps = compared.maps(weights, progress)
            places = Correspondences.none(compared.score) if lines == 0 else correspond(query, reference, chosen, lines)
            joining = Joining.of(query, reference, chosen) if parts else None
            return compared, maps, places, [side.whereabouts(subject.module) for side in (query, reference)], joining

    compared, maps, places, lie, joining = kept_if_overwritten(compare)
    joined: tuple[JoinedParts, ...] = ()
    if joining:
        groups = [
            ReferenceGroup((j,), compared.score.new_ones(len(queries.photos), 1)) for j in range(len(shelf.photos))
        ]
        pictures = queries.tensor, shelf.tensor
        joined = pair_parts(joining, subject.module, pictures, (arguments, arguments), groups, parts, notes, progress)
    return Match(
        similarity=compared.score,
        query_maps=maps[0],
        reference_maps=maps[1],
        contributions=compared.contributions,
        places=places.places,
        unplaced=places.unplaced,
        queries=queries.photos,
        references=shelf.photos,
        metric=chosen.name,
        distance=chosen.value(1.0) < 0,
        weights=weights,
        layer=at,
        embedding=site,
        model=subject.name,
        notes=tuple(dict.fromkeys([*notes, *compared.notes, *places.notes, *lie[0].notes, *lie[1].notes])),
        seconds=time.perf_counter() - started,
        versions=versions(),
        query_where=lie[0].where.get(at),
        reference_where=lie[1].where.get(at),
        joined=joined,
    )

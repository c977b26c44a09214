"""Photos in the order of their similarity to one, and what sets two of them apart, as a page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.report.answers.wire import MapAnswer, Wire, map_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results import Match
    from foveal.results.contrast import Contrast
    from foveal.results.retrieval import Retrieval


class RankedPhoto(Wire):
    """A photo by its hash, and the number of the metric."""

    photo: str
    value: float


class RanksAnswer(Wire):
    """The most similar first.

    Attributes:
        distance: the values are distances: the smallest is the most similar.
        embedding: the layer whose output is compared; "" is the model's output.
    """

    ranked: list[RankedPhoto]
    metric: str
    distance: bool
    embedding: str
    notes: list[str]


class ContrastAnswer(Wire):
    """Why one photo is more similar than another: the margin, on all three.

    Attributes:
        values: the numbers of the metric, of the one and of the other.
        margin: similarity to the one less similarity to the other.
        unplaced: what of the margin lies at no position of the query.
        query_map: on the query, for the one less for the other; it sums to the margin less `unplaced`.
        one_map, other_map: on either, evidence for its similarity to the query.
    """

    values: tuple[float, float]
    margin: float
    unplaced: float
    metric: str
    distance: bool
    layer: str
    query_map: MapAnswer
    one_map: MapAnswer
    other_map: MapAnswer
    notes: list[str]


def ranks_answer(found: Match | Retrieval, photos: Sequence[str], i: int = 0) -> RanksAnswer:
    """The references of query i; `photos` has the hash of each."""
    return RanksAnswer(
        ranked=[RankedPhoto(photo=photos[j], value=found.value(i, j)) for j in found.ranking(i)],
        metric=found.metric,
        distance=found.distance,
        embedding=found.embedding,
        notes=list(found.notes),
    )


def contrast_answer(contrast: Contrast, found: Match | Retrieval) -> ContrastAnswer:
    """A contrast of a retrieval: its "wrong" reference is the one, its "right" reference the other."""
    photos = (contrast.query_photo, contrast.wrong_photo, contrast.right_photo)
    maps = (contrast.query_map, contrast.wrong_map, contrast.right_map)
    where = (contrast.query_where, contrast.reference_where, contrast.reference_where)
    drawn = [map_answer(map, photo.geometry, at) for map, photo, at in zip(maps, photos, where, strict=True)]
    sign = -1 if found.distance else 1
    return ContrastAnswer(
        values=(sign * contrast.similarities[0], sign * contrast.similarities[1]),
        margin=contrast.margin,
        unplaced=contrast.unplaced,
        metric=found.metric,
        distance=found.distance,
        layer=found.layer,
        query_map=drawn[0],
        one_map=drawn[1],
        other_map=drawn[2],
        notes=list(found.notes),
    )

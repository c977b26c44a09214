"""Why two photos match, as a page shows it: evidence on both, and the pairs of positions that add most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from foveal.report.answers.wire import MapAnswer, Wire, map_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.images import Place
    from foveal.results import Match
    from foveal.results.joined_parts import JoinedPart

MOST_CHANNELS = 12


class LineAnswer(Wire):
    """Two positions, one on each photo, and what they add to the similarity together.

    Attributes:
        query, reference: row and column of the position on either map, as it stands upright.
    """

    query: tuple[int, int]
    reference: tuple[int, int]
    value: float


class ChannelShare(Wire):
    """A number of the embedding, and its share of all that is added and taken away."""

    index: int
    share: float


class SharedPart(Wire):
    """A part that lies on both photos.

    Attributes:
        value: what it adds to the similarity.
        share: of the similarity.
        lost: the share that is lost without it; None where that is not measured.
        by_chance: the share that is lost without as much at random.
    """

    value: float
    share: float | None
    lost: float | None
    by_chance: float | None
    query_map: MapAnswer
    reference_map: MapAnswer


class MatchAnswer(Wire):
    """One photo beside another.

    Attributes:
        value: the number of the metric: a similarity, or a distance where `distance` is True.
        numbers: how many numbers are compared.
        embedding: the layer whose output is compared; "" is the model's output.
        method: what made the maps, as `foveal.explain` takes it; `title` is its name in print.
        adds_up: the maps sum to the similarity, up to what lies at no position.
        lines: the strongest pairs of positions, the strongest first; none where the metric is no sum over them.
        held: the share of the similarity that the lines hold; None without lines.
        unplaced: what of the similarity lies at no position; None where that is not known.
        channels: the strongest numbers of the embedding.
        carriers: about how many of them make up the similarity.
        parts: what both photos have, where it was asked for.
        notes: what a reader must know before believing the maps.
    """

    value: float
    metric: str
    distance: bool
    numbers: int
    embedding: str
    layer: str
    method: str
    title: str
    adds_up: bool
    query_map: MapAnswer
    reference_map: MapAnswer
    lines: list[LineAnswer]
    held: float | None
    unplaced: float | None
    channels: list[ChannelShare]
    carriers: float
    parts: list[SharedPart] = Field(default_factory=list)
    notes: list[str]
    seconds: float


def match_answer(pair: Match, i: int = 0, j: int = 0) -> MatchAnswer:
    """Query i beside reference j of a match, computed now or loaded from a folder."""
    places = [row for row in pair.places[i, j].tolist() if row[4] == row[4]]
    similarity, unplaced = float(pair.similarity[i, j]), float(pair.unplaced[i, j])
    where, geometry = (pair.query_where, pair.reference_where), (pair.queries[i].geometry, pair.references[j].geometry)
    shares = pair.shares(i, j)
    order = shares.abs().argsort(descending=True, stable=True)[:MOST_CHANNELS].tolist()
    return MatchAnswer(
        value=pair.value(i, j),
        metric=pair.metric,
        distance=pair.distance,
        numbers=shares.numel(),
        embedding=pair.embedding,
        layer=pair.layer,
        method="fam" if pair.weights == "contribution" else f"fam:weights={pair.weights}",
        title="FAM",
        adds_up=pair.weights == "linear",
        query_map=map_answer(pair.query_maps[i, j], geometry[0], where[0]),
        reference_map=map_answer(pair.reference_maps[i, j], geometry[1], where[1]),
        lines=[
            LineAnswer(query=upright(row[:2], where[0]), reference=upright(row[2:4], where[1]), value=row[4])
            for row in places
        ],
        held=sum(row[4] for row in places) / similarity if places and similarity else None,
        unplaced=unplaced if unplaced == unplaced else None,
        channels=[ChannelShare(index=k, share=float(shares[k])) for k in order],
        carriers=min(1 / max(float((shares.double() ** 2).sum()), 1e-30), shares.numel()),
        parts=[_part(part, pair, i, j) for part in (pair.parts(i, j) if pair.joined else ())],
        notes=list(pair.notes),
        seconds=pair.seconds,
    )


def upright(position: Sequence[float], place: Place | None) -> tuple[int, int]:
    """The row and column of a position on its map as `map_answer` turns it."""
    row, column = (int(at) for at in position)
    return (column, row) if place and place.turned else (row, column)


def _part(part: JoinedPart, pair: Match, i: int, j: int) -> SharedPart:
    return SharedPart(
        value=part.value,
        share=_known(part.share),
        lost=_known(part.lost),
        by_chance=_known(part.effects["random"]),
        query_map=map_answer(part.query_map, pair.queries[i].geometry, pair.query_where),
        reference_map=map_answer(part.reference_maps[0], pair.references[j].geometry, pair.reference_where),
    )


def _known(value: float) -> float | None:
    return value if value == value else None

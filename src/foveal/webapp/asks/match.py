"""Why two photos match: evidence on both, lines between positions, and the counterpart of a position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from foveal.api.counterparts import counterparts
from foveal.api.explain import explain
from foveal.api.match import WEIGHTS, match
from foveal.report.answers.match import MatchAnswer, match_answer, upright
from foveal.report.answers.wire import MapAnswer, Wire, map_answer
from foveal.targets import Similar
from foveal.webapp.ask import PhotoQuery, Progress, ask

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio

MOST_POSITIONS = 4096
At = Annotated[int, Field(ge=0, lt=2**16)]


class PairQuery(PhotoQuery):
    """A query about two photos.

    Attributes:
        other: the hash of the second one.
        metric: how embeddings are compared; see `foveal.Similar`.
    """

    other: str = Field(max_length=64)
    metric: str = Field(default="cosine", max_length=40)


class MatchQuery(PairQuery):
    """The maps of one method on both photos.

    Attributes:
        method: "fam" with its weights, or any method of `foveal.explain`.
        lines: how many; None is 8 where they cost little.
        parts: how many parts that lie on both photos.
        layer: whose maps; None is the method's own place.
    """

    method: str = Field(default="fam", max_length=300)
    lines: int | None = Field(default=None, ge=0, le=100)
    parts: int = Field(default=0, ge=0, le=12)
    layer: str | None = Field(default=None, max_length=300)


@ask("match")
def matched(studio: Studio, query: MatchQuery, progress: Progress) -> MatchAnswer:
    """FAM's maps come with the match; another method explains the similarity on the one photo, then on the other."""
    model, method = studio.model(query.model), studio.method(query.method)
    ours, theirs = studio.photo(query.photo).image, studio.photo(query.other).image
    fam = method.name == "fam" and bool(method.options["oriented"]) and method.options["weights"] in WEIGHTS
    pair = match(
        model, [ours], [theirs], metric=query.metric, lines=query.lines, parts=query.parts, progress=progress,
        weights=str(method.options["weights"]) if fam else "contribution", layer=query.layer,
    )  # fmt: skip
    answer = match_answer(pair)
    if fam:
        return answer
    drawn = {}
    for name, image, reference in (("query_map", ours, theirs), ("reference_map", theirs, ours)):
        target = Similar(reference, metric=query.metric)
        why = explain(model, [image], target, method=method, layer=query.layer, progress=progress)
        drawn[name] = map_answer(why.map[0], why.photos[0].geometry, why.where.get(why.layer))
        answer = answer.model_copy(update={
            "notes": list(dict.fromkeys([*answer.notes, *why.notes])), "seconds": answer.seconds + why.seconds,
            "layer": why.layer,
        })  # fmt: skip
    update = {**drawn, "method": query.method, "title": method.title, "adds_up": False}
    return answer.model_copy(update=update)


class CounterpartQuery(PairQuery):
    """The counterpart of positions.

    Attributes:
        side: the photo that the positions lie on: "query" is `photo`, "reference" is `other`.
        positions: (row, column) of the upright map.
    """

    side: Literal["query", "reference"]
    positions: list[tuple[At, At]] = Field(min_length=1, max_length=MOST_POSITIONS)


class CounterpartAnswer(Wire):
    """What the positions add together with each position of the other photo.

    Attributes:
        map: on the other photo.
        peak: its row and column of the largest value.
        share: of the similarity, what the positions add with all of the other photo.
    """

    map: MapAnswer
    peak: tuple[int, int]
    share: float | None


@ask("counterpart")
def counterpart(studio: Studio, query: CounterpartQuery, progress: Progress) -> CounterpartAnswer:
    """One product of matrices, once both photos were seen."""
    key = ("counterparts", query.photo, query.other, query.model, query.metric)
    model = studio.model(query.model)
    images = studio.photo(query.photo).image, studio.photo(query.other).image
    both = studio.kept(key, lambda: counterparts(model, *images, metric=query.metric, progress=progress))
    forth = query.side == "query"
    here, there = (0, 1) if forth else (1, 0)
    chosen = [upright(at, both.where[here]) for at in query.positions]
    map = both.of(chosen) if forth else both.back(chosen)
    row, column = divmod(int(map.argmax()), map.shape[1])
    whole = float(both.ours.double().sum(1) @ both.theirs.double().sum(1))
    return CounterpartAnswer(
        map=map_answer(map, both.photos[there].geometry, both.where[there]),
        peak=upright((row, column), both.where[there]),
        share=float(map.double().sum()) / whole if whole else None,
    )

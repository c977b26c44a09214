"""What hiding places of a photo does to the score, and what hiding the same shape elsewhere does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from foveal.api.audit import elsewhere
from foveal.engine.chunks import WHOLE, chunked
from foveal.report.answers.wire import Wire
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.questions import known, question_of
from foveal.webapp.shapes import Edit, FillName, Shape, rasterized

if TYPE_CHECKING:
    from torch import Tensor

    from foveal.webapp.studio import Studio

SHARED = 0.1
"""The share of a shape that "elsewhere" may have in common with it, where the photo has room."""


class PlacesQuery(TargetQuery):
    """Places, each hidden alone.

    Attributes:
        shapes: the places.
        keep: everything but the place is hidden.
        fill: what stands there, see `Edit`.
        draws: at how many other places the same shape is hidden.
    """

    shapes: list[Shape] = Field(min_length=1, max_length=8)
    keep: bool = False
    fill: FillName = "blur"
    draws: int = Field(default=24, ge=0, le=100)


class HiddenPlace(Wire):
    """The score without one place.

    Attributes:
        area: the share of the network's input that it covers.
        score: None where it is no number.
        elsewhere: the score with the same shape, mirrored or not, hidden elsewhere; once a draw.
    """

    area: float
    score: float | None
    elsewhere: list[float | None]


class PlacesAnswer(Wire):
    """What hiding each place does.

    Attributes:
        whole: the score of the photo as it is.
        places: in the order of the query.
        forwards: passes through the network.
    """

    whole: float
    places: list[HiddenPlace]
    forwards: int


@ask("places")
def places(studio: Studio, query: PlacesQuery, progress: Progress) -> PlacesAnswer:
    """One forward pass a place and draw."""
    question = question_of(studio, query)
    edit = Edit(shape=Shape(), keep=query.keep, fill=query.fill)
    shapes = [rasterized(shape, question.geometry) for shape in query.shapes]
    every = torch.cat([torch.cat([shape[None], elsewhere(shape, query.draws, shared=SHARED)]) for shape in shapes])
    with question.asking() as asked:

        def score(start: int, stop: int) -> Tensor:
            progress("Hiding places", start, len(every))
            return asked(question.altered(every[start:stop], edit)).detach().float().cpu()

        run = chunked(None, question.x, WHOLE, asked.load)
        scores = run(score, len(every), lambda done, total: None).view(len(shapes), -1)
        return PlacesAnswer(
            whole=asked.whole,
            places=[
                HiddenPlace(
                    area=float(shape.double().mean()),
                    score=known(own[:1])[0],
                    elsewhere=known(own[1:]),
                )
                for shape, own in zip(shapes, scores, strict=True)
            ],
            forwards=asked.count,
        )

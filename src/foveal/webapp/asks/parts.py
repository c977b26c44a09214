"""The ranked parts of a photo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from foveal.api.parts import own_pooling
from foveal.api.parts import parts as ranked
from foveal.report.answers.parts import PartsAnswer, parts_answer
from foveal.webapp.ask import Progress, TargetQuery, ask

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio

MOST = 8
FINER = (1, 2, 4)


class PartsQuery(TargetQuery):
    """Parts by their rank.

    Attributes:
        count: how many; a network that decides by parts has its own number.
        resolution: how many times finer than the layer's map; not of such a network.
        layer: where; None is the last stage. Not of such a network.
    """

    count: int = Field(default=3, ge=1, le=MOST)
    resolution: Literal[1, 2, 4] = 1
    layer: str | None = Field(default=None, max_length=300)


@ask("parts")
def parts(studio: Studio, query: PartsQuery, progress: Progress) -> PartsAnswer:
    """A forward and a backward pass."""
    model, image = studio.model(query.model), studio.photo(query.photo).image
    target = studio.target(query.target, model)
    progress("finding parts", 0, 0)
    if own_pooling(model.module):
        return parts_answer(ranked(model, [image], target))
    divided = ranked(model, [image], target, count=query.count, resolution=query.resolution, layer=query.layer)
    return parts_answer(divided)

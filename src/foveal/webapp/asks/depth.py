"""How a decision forms from stage to stage: which neurons take part, and whether they are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.api.flow import flow
from foveal.report.answers.depth import DepthAnswer, depth_answer
from foveal.webapp.ask import Progress, TargetQuery, ask

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class DepthQuery(TargetQuery):
    """The curves under the maps of all stages."""


@ask("depth")
def depth(studio: Studio, query: DepthQuery, progress: Progress) -> DepthAnswer:
    """One forward and one backward pass, then two partial forward passes a stage."""
    model = studio.model(query.model)
    target = studio.target(query.target, model)
    why = flow(model, [studio.photo(query.photo).image], target, progress=progress)
    return depth_answer(why, why.audit(progress))

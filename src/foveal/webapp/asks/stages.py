"""The stages of a network: what one position of a map sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.attribution.prepare import prepare
from foveal.report.answers.stages import StagesAnswer, stages_answer
from foveal.webapp.ask import PhotoQuery, Progress, ask

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class StagesQuery(PhotoQuery):
    """The stages, traced with a photo."""


@ask("stages")
def stages(studio: Studio, query: StagesQuery, progress: Progress) -> StagesAnswer:
    """One traced forward pass, the first time."""
    context = prepare(studio.model(query.model), [studio.photo(query.photo).image], None, blind=True)
    height, width = context.x.shape[-2:]
    return stages_answer(context.tracing().stages, (height, width))

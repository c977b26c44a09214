"""The stages of a network for a photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.api.explain import stages as stages_of
from foveal.report.answers.stages import StagesAnswer, stages_answer
from foveal.webapp.ask import PhotoQuery, Progress, ask

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class StagesQuery(PhotoQuery):
    """The stages of a model, for the size that this photo has as its input."""


@ask("stages")
def stages(studio: Studio, query: StagesQuery, progress: Progress) -> StagesAnswer:
    """One traced forward pass."""
    return stages_answer(stages_of(studio.model(query.model), [studio.photo(query.photo).image]))

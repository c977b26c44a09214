"""What truly decides in a drawn scene: each part is taken away, and the network is asked again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from foveal.errors import TargetError
from foveal.report.answers.deciding import DecidingAnswer, deciding_answer
from foveal.synthetic.drawing import render
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.asks.truth import effects_of, questioned
from foveal.webapp.scenes import scene_of

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


class DecidingQuery(TargetQuery):
    """The true effects of the parts of a drawn scene on a decision."""


@ask("deciding")
def deciding(studio: Studio, query: DecidingQuery, progress: Progress) -> DecidingAnswer:
    """About 30 drawings, and a forward pass for each."""
    scene = scene_of(studio.photo(query.photo))
    with questioned(studio, query) as (_, question):
        if not math.isfinite(question.whole):
            raise TargetError(f"{question.label} is no number for this scene, so no part decides")
        _, effects = effects_of(studio.model(query.model), scene, question, progress)
        return deciding_answer(question.whole, effects, render(scene)[1])

"""What truly decides in a drawn scene: each part is taken away, and the network is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.attribution.perturbed_score import perturbed_scores
from foveal.attribution.prepare import prepare, read
from foveal.errors import ImageError
from foveal.report.answers.deciding import DecidingAnswer, deciding_answer
from foveal.synthetic.drawing import render
from foveal.synthetic.effects import effects
from foveal.webapp.ask import Progress, TargetQuery, ask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foveal.webapp.studio import Studio

BATCH = 4  # scenes between two looks at whether anybody still waits


class DecidingQuery(TargetQuery):
    """The true effects of the parts of a drawn scene on a decision."""


@ask("deciding")
def deciding(studio: Studio, query: DecidingQuery, progress: Progress) -> DecidingAnswer:
    """A forward pass for each part, and four for those that are replaced and not removed."""
    photo, model = studio.photo(query.photo), studio.model(query.model)
    if photo.scene is None:
        raise ImageError(f"{photo.name} was not drawn, so no one knows which part decides: choose a drawn scene")
    context = prepare(model, [photo.image], studio.target(query.target, model))
    with perturbed_scores(context, "score") as (question,):

        def score(pictures: NDArray[np.uint8]) -> NDArray[np.floating]:
            progress("parts of the scene", question.count, 0)
            return question(read(model, list(pictures)).tensor.to(context.x)).cpu().numpy()

        measured = effects([photo.scene], score, batch=BATCH)
        whole = question.whole
    return deciding_answer(whole, measured.row(0), render(photo.scene)[1])

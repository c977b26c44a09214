"""What the network says of a photo: the scores of all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.attribution.prepare import prepare
from foveal.report.answers.scores import ScoresAnswer, scores_answer
from foveal.targets.class_scores import class_head, first_head
from foveal.webapp.ask import PhotoQuery, Progress, ask

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.targets import Head
    from foveal.targets.heads import Ending
    from foveal.webapp.studio import Studio


class ScoresQuery(PhotoQuery):
    """The scores of all classes for a photo."""


@ask("scores")
def scores(studio: Studio, query: ScoresQuery, progress: Progress) -> ScoresAnswer:
    """One forward pass."""
    model = studio.model(query.model)
    context = prepare(model, [studio.photo(query.photo).image], None, blind=True)
    head = head_of(studio, query.model, context)
    return scores_answer(head, model.labels, list(context.remarks()))


def head_of(studio: Studio, model: str, context: Context) -> Head:
    """What the network says of the images of a context."""
    ending = ending_of(studio, model, context)
    return class_head(context.model, context.task, context.x, ending, context.arguments)


def ending_of(studio: Studio, model: str, context: Context) -> Ending:
    """How the network's output ends; read once a model."""
    module, task = context.model, context.task
    first = studio.kept(
        ("head", model), lambda: first_head(module, task, context.x[:1], context.arguments, context.labels)
    )
    return first.ending

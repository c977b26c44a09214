"""Why this decision: the map of a method at every layer where it looks."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from pydantic import Field

from foveal.api.explain import explanations
from foveal.attribution.prepare import prepare
from foveal.engine.address import INPUT
from foveal.errors import LayerError
from foveal.images import Batch
from foveal.report.answers.decision import DecisionAnswer, decision_answer
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.questions import question_of
from foveal.webapp.shapes import Edit, rasterized
from foveal.webapp.switchboard import Switch, switched_off

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.methods import Method
    from foveal.results import Explanation
    from foveal.webapp.studio import Studio


class DecisionQuery(TargetQuery):
    """The maps of one method.

    Attributes:
        method: as `foveal.explain` takes it; options after a colon.
        layer: None is every stage for methods that one pass serves at all of them, the method's own place for others.
        edit: what is hidden in the photo; the decision stays that about the photo as it is.
        switch: channels of a layer that are switched off or scaled; the same holds.
    """

    method: str = Field(default="gradcam", max_length=300)
    layer: str | None = Field(default=None, max_length=300)
    edit: Edit | None = None
    switch: Switch | None = None

    @property
    def asked(self) -> str:
        """Equal for queries that have one explanation."""
        return self.model_dump_json(include=set(DecisionQuery.model_fields))


@ask("decision")
def decision(studio: Studio, query: DecisionQuery, progress: Progress) -> DecisionAnswer:
    """For methods of activations and gradients one forward and one backward pass, whatever the number of layers."""
    return decision_answer(explained(studio, query, progress), title=studio.method(query.method).title)


def explained(studio: Studio, query: DecisionQuery, progress: Progress) -> Explanation:
    """The explanation that the page shows, as Python has it; made once for all that is asked about it."""
    return studio.kept(("explained", query.asked), lambda: _explained(studio, query, progress))


def _explained(studio: Studio, query: DecisionQuery, progress: Progress) -> Explanation:
    model, method = studio.model(query.model), studio.method(query.method)
    images: list[Any] | Batch = [studio.photo(query.photo).image]
    target = studio.target(query.target, model)
    if query.edit is not None or query.switch is not None:
        question = question_of(studio, query)
        x = question.x
        if query.edit is not None:
            x = question.altered(rasterized(query.edit.shape, question.geometry)[None], query.edit)
        images, target = Batch(x, question.context.photos), question.pinned
    with nullcontext() if query.switch is None else switched_off(question.context, query.switch):
        context = prepare(model, images, target, blind=target is None and method.needs == "activations")
        layer = layers_of(context, method) if query.layer is None else query.layer
        (why,) = explanations(context, {query.method: method}, layer, progress)
        return why


def layers_of(context: Context, method: Method) -> str | tuple[str, ...] | None:
    """Where a method is asked if no layer is named: at every stage, if one pass serves all of them.

    A method of many passes, or one that does not apply everywhere, is asked at its own place. A target that looks at a
    layer has the stages before it, or the input.
    """
    if method.place == "input":
        return None
    try:
        stages = context.every_layer()
    except LayerError:
        return INPUT
    return stages if method.needs != "forwards" and method.between is None else None

"""Why this decision: the map of a method at every layer where it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from foveal.api.explain import explanations
from foveal.attribution.prepare import prepare
from foveal.engine.address import INPUT
from foveal.errors import LayerError
from foveal.report.answers.decision import DecisionAnswer, decision_answer
from foveal.webapp.ask import Progress, TargetQuery, ask

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
    """

    method: str = Field(default="gradcam", max_length=300)
    layer: str | None = Field(default=None, max_length=300)


@ask("decision")
def decision(studio: Studio, query: DecisionQuery, progress: Progress) -> DecisionAnswer:
    """For methods of activations and gradients one forward and one backward pass, whatever the number of layers."""
    return decision_answer(explained(studio, query, progress), title=studio.method(query.method).title)


def explained(studio: Studio, query: DecisionQuery, progress: Progress) -> Explanation:
    """The explanation that the page shows, as Python has it."""
    model, method = studio.model(query.model), studio.method(query.method)
    target = studio.target(query.target, model)
    blind = target is None and method.needs == "activations"
    context = prepare(model, [studio.photo(query.photo).image], target, blind=blind)
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

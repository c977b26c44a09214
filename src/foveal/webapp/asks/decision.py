"""Why this decision: the map of a method at every layer where it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from foveal.api.explain import explain
from foveal.report.answers.decision import DecisionAnswer, decision_answer
from foveal.webapp.ask import Progress, TargetQuery, ask

if TYPE_CHECKING:
    from foveal.results import Explanation
    from foveal.webapp.studio import Studio


class DecisionQuery(TargetQuery):
    """The maps of one method.

    Attributes:
        method: as `foveal.explain` takes it; options after a colon.
        layer: None is every stage for methods of layers, and the input for the others.
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
    layer = query.layer
    if layer is None and method.needs != "forwards" and method.place == "last stage":
        layer = "all"
    return explain(
        model,
        [studio.photo(query.photo).image],
        studio.target(query.target, model),
        method=method,
        layer=layer,
        progress=progress,
    )

"""Why this decision: the map of a method at every layer where it looks."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from foveal.api.explain import explanations
from foveal.attribution.prepare import prepare
from foveal.engine.address import INPUT
from foveal.errors import LayerError, MethodError
from foveal.images import Batch
from foveal.report.answers.decision import DecisionAnswer, decision_answer
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.flows import TITLE, asked_flow, is_flow
from foveal.webapp.questions import question_of
from foveal.webapp.shapes import Edit, rasterized
from foveal.webapp.switchboard import Switch, switched_off

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.methods import Method
    from foveal.results import Explanation
    from foveal.webapp.studio import Studio

Scale = Annotated[float, Field(gt=0, le=16)]


class DecisionQuery(TargetQuery):
    """The maps of one method.

    Attributes:
        method: as `foveal.explain` takes it, options after a colon; or a flow, see `foveal.webapp.flows`.
        layer: None is every stage for methods that one pass serves at all of them, the method's own place for others.
        also: a layer that is no stage, whose map is shown with those of the stages; alone where the method has none.
        edit: what is hidden in the photo; the decision stays that about the photo as it is.
        switch: channels of a layer that are switched off or scaled; the same holds.
        resolution, scales: of a finer map, as `foveal.explain` takes them; only the layer that is named is shown then,
            or the method's own place.
    """

    method: str = Field(default="gradcam", max_length=300)
    layer: str | None = Field(default=None, max_length=300)
    also: str | None = Field(default=None, max_length=300)
    edit: Edit | None = None
    switch: Switch | None = None
    resolution: int = Field(default=1, ge=1, le=64)
    scales: list[Scale] = Field(default=[1.0], min_length=1, max_length=8)

    @property
    def asked(self) -> str:
        """Equal for queries that have one explanation."""
        return self.model_dump_json(include=set(DecisionQuery.model_fields))

    @property
    def finer(self) -> bool:
        """Whether the map is to be finer than its layer."""
        return self.resolution != 1 or self.scales != [1.0]


@ask("decision")
def decision(studio: Studio, query: DecisionQuery, progress: Progress) -> DecisionAnswer:
    """For methods of activations and gradients one forward and one backward pass, whatever the number of layers."""
    return decision_answer(explained(studio, query, progress), title=title_of(studio, query.method))


def title_of(studio: Studio, method: str) -> str:
    """The method's name in print."""
    return TITLE if is_flow(method) else studio.method(method).title


def explained(studio: Studio, query: DecisionQuery, progress: Progress) -> Explanation:
    """The explanation that the page shows, as Python has it; made once for all that is asked about it."""
    return studio.kept(("explained", query.asked), lambda: _explained(studio, query, progress))


def _explained(studio: Studio, query: DecisionQuery, progress: Progress) -> Explanation:
    model = studio.model(query.model)
    method = None if is_flow(query.method) else studio.method(query.method)
    images: list[Any] | Batch = [studio.photo(query.photo).image]
    target = studio.target(query.target, model)
    if query.edit is not None or query.switch is not None:
        question = question_of(studio, query)
        x = question.x
        if query.edit is not None:
            x = question.altered(rasterized(query.edit.shape, question.geometry)[None], query.edit)
        images, target = Batch(x, question.context.photos), question.pinned
    if query.switch is not None and query.finer:
        raise MethodError("channels are switched off in maps as fine as their layer: show the layer's own resolution")
    with nullcontext() if query.switch is None else switched_off(question.context, query.switch):
        blind = target is None and method is not None and method.needs == "activations"
        context = prepare(model, images, target, blind=blind)
        layer = _layers(context, method, query)
        if method is None:
            if query.finer:
                raise MethodError("a flow has maps as fine as its layers: show the layer's own resolution")
            return asked_flow(studio, query.method, model, images, target, layer, progress)
        (why,) = explanations(
            context, {query.method: method}, layer, progress, resolution=query.resolution, scales=query.scales
        )
        return why


def _layers(context: Context, method: Method | None, query: DecisionQuery) -> str | tuple[str, ...] | None:
    """Where the page asks; of a flow, which has no method, "all" stages."""
    if query.layer is not None:
        return query.layer
    if query.finer:
        return query.also
    if query.also is None or (method is not None and method.place == "input"):
        return "all" if method is None else layers_of(context, method)
    stages = context.every_layer() if method is None else layers_of(context, method)
    return (*stages, query.also) if isinstance(stages, tuple) else query.also


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

"""Several methods on one decision: those of activations and gradients share their passes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field

from foveal.api.explain import explanations_or_reasons
from foveal.attribution.prepare import prepare
from foveal.engine.address import INPUT
from foveal.engine.forward import output_of
from foveal.engine.guard import untouched
from foveal.errors import LayerError
from foveal.methods.cost import forward_passes
from foveal.report.answers.comparison import ComparisonAnswer, MethodAnswer, comparison_answer
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.asks.decision import layers_of

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.errors import FovealError
    from foveal.methods import Method
    from foveal.results import Explanation
    from foveal.webapp.studio import Studio

MOST = 64


class ComparisonQuery(TargetQuery):
    """The maps of several methods.

    Attributes:
        methods: as `foveal.compare` takes them. Those of many forward passes are not run: what they take is told.
    """

    methods: list[Annotated[str, Field(max_length=300)]] = Field(min_length=1, max_length=MOST)


@ask("comparison")
def comparison(studio: Studio, query: ComparisonQuery, progress: Progress) -> ComparisonAnswer:
    """One forward and one backward pass, and one more of both for each method with backward rules of its own."""
    started = time.perf_counter()
    chosen = {name: studio.method(name) for name in query.methods}
    model = studio.model(query.model)
    target = studio.target(query.target, model)
    context = prepare(model, [studio.photo(query.photo).image], target)
    whys, refused = _explained(context, chosen, progress)
    answer = comparison_answer(
        whys.values(),
        {name: method.title for name, method in chosen.items()},
        refused,
        layers=_stages(context),
        seconds=time.perf_counter() - started,
    )
    told = {own.method: own for own in answer.methods}
    slow = {name: method for name, method in chosen.items() if method.needs == "forwards"}
    if slow:
        forward = studio.kept(("forward seconds", query.model), lambda: forward_seconds(context))
        told |= {name: _estimated(name, method, context, forward) for name, method in slow.items()}
    return answer.model_copy(update={"methods": [told[name] for name in chosen]})


def _explained(
    context: Context, chosen: dict[str, Method], progress: Progress
) -> tuple[dict[str, Explanation], dict[str, FovealError]]:
    """The fast methods, called as they were asked for; and why some cannot run."""
    whys: dict[str, Explanation] = {}
    refused: dict[str, FovealError] = {}
    fast = {name: method for name, method in chosen.items() if method.needs != "forwards"}
    at = {name: layers_of(context, method) for name, method in fast.items()}
    for layers in dict.fromkeys(at.values()):
        progress("methods", len(whys) + len(refused), len(fast))
        group = {name: method for name, method in fast.items() if at[name] == layers}
        made = explanations_or_reasons(context, group, layers, progress, refused)
        whys |= {why.method: why for why in made}
    return whys, refused


def _estimated(name: str, method: Method, context: Context, forward: float) -> MethodAnswer:
    """What the map of a method takes at each layer where it can be asked."""
    if method.place == "input":
        passes = {INPUT: forward_passes(method, tuple(context.x.shape[1:]))}
    else:
        structure, asked = context.tracing(), _stages(context)
        passes = {
            stage.name: forward_passes(method, stage.shape, behind=1 - stage.depth / max(structure.depth + 1, 1))
            for stage in structure.stages
            if stage.name in asked
        }
    return MethodAnswer(
        method=name, seconds={layer: forward * number for layer, number in passes.items() if number is not None}
    )


def _stages(context: Context) -> tuple[str, ...]:
    """Those that the target depends on."""
    try:
        return context.every_layer()
    except LayerError:
        return (INPUT,)


def forward_seconds(context: Context) -> float:
    """What a forward pass of one photo takes: the faster of two, as the machine may be busy."""
    spent = []
    with untouched(context.model), torch.inference_mode():
        for _ in range(2):
            started = time.perf_counter()
            output_of(context.model, lambda: context.arguments.bind(context.x, lambda tensor: tensor), gradient=False)
            spent.append(time.perf_counter() - started)
    return min(spent)

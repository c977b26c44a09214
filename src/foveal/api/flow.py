"""How does attention form? `foveal.flow`: every layer at once, and the neurons that take part in each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal.api.flow_audit import audited
from foveal.api.flow_plan import FlowPlan, plan_of
from foveal.attribution.passes import PassResult, forward_backward_each
from foveal.attribution.perturbation import Progress
from foveal.attribution.placing import whereabouts
from foveal.attribution.prepare import prepare, with_target
from foveal.attribution.sharing import grid_steps, without_grid
from foveal.engine.keywords import checked
from foveal.engine.select import LayerName, LayerSpec
from foveal.errors import MethodError
from foveal.hierarchy.windows import Windows
from foveal.images import Batch
from foveal.methods.fam import Weighed
from foveal.methods.naflow import Abandonment, Inversion, Mode, share_of
from foveal.models.model import Model
from foveal.results.flow import Flow
from foveal.results.provenance import versions
from foveal.targets import Similar, TargetLike, Task

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.images import ImageLike, Preprocessing
    from foveal.similarity import MetricLike


@checked
def flow(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    mode: Mode = "exact",
    layer: LayerSpec = "all",
    mass: float = 1.0,
    zero: float = 0.0,
    coefficients: str = "contribution",
    reference: str | ImageLike | None = None,
    iterations: int = 30,
    tolerance: float = 1e-5,
    damping: float = 1.0,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Flow:
    """NAFlow (attention flow): a map for every layer, of the neurons that influence the score.

    One forward and one backward pass for all layers in mode "exact"; the other modes invert what lies between them.

        flow = foveal.flow(model, "bird.jpg")
        flow.maps["layer1"], flow.signed["layer1"], flow.kept["layer1"]         # (n, h, w) each
        flow.strip().save("flow.png"); print(flow); print(flow.audit())

    Args:
        target: any decision of `foveal.explain`; a similarity flows by its channels' contributions.
        mode: how each layer is rebuilt from the next deeper one: "exact", "project", "cascade", "cascade_all", "damped"
            (`foveal.methods.naflow` has the formulas; docs/flow.md what they are good for).
        layer: which layers, as in `explain`; all stages if left out. Modes that invert need layers of which each is
            made of the one before.
        mass: below 1, keep the fewest neurons that hold this share of Σ |A ⊙ G|, for networks of GELU or SiLU, whose
            gradients never vanish.
        zero: leave out neurons whose gradient's absolute value does not exceed this.
        coefficients: of a similarity: "contribution", "positive", "margin" or "linear" as in FAM, or "gradient", the
            derivative of the similarity itself. Of any decision: "difference", slopes to a reference, so that the total
            at every layer is the score less the reference's, and maps without the grid of strides.
            The neurons that take part are then the fewest that hold `mass` of the evidence, 0.99 where it is 1.
        reference: of "difference": "blur", the default, "zero", "mean", or an image.
        iterations, tolerance: of the solver, where there is no closed form; few iterations regularize.
        damping: of mode "damped", in units of the mean squared gain of what lies between two layers.
        progress: hears (what, done, total).

    The other arguments and the errors are those of `explain`. (Liao et al., TPAMI 48(5), 2026, arXiv:2412.01202.)
    """
    started = time.perf_counter()
    context = prepare(
        model, images, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    how = Inversion(mode, iterations, tolerance, damping)
    plan = plan_of(context, layer, Abandonment(zero, mass), how, coefficients, reference)
    return _flow(plan, plan.run(progress), time.perf_counter() - started)


@checked
def flows(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    targets: Sequence[TargetLike],
    *,
    mode: Mode = "exact",
    layer: LayerSpec = "all",
    mass: float = 1.0,
    zero: float = 0.0,
    coefficients: str = "contribution",
    reference: str | ImageLike | None = None,
    iterations: int = 30,
    tolerance: float = 1e-5,
    damping: float = 1.0,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> tuple[Flow, ...]:
    """`flow` of several decisions about the same images: one forward pass for all, one backward pass each.

        top, runner_up = foveal.flows(model, "bird.jpg", ["jay", "crow"])

    The arguments and the errors are those of `flow`, and each flow is what it gives alone. MethodError also for
    decisions that look at different depths of the network, where "all" layers are not the same.
    """
    if not targets:
        raise MethodError("there is no decision to follow: give at least one target")
    started = time.perf_counter()
    first = prepare(
        model,
        images,
        targets[0],
        inputs=inputs,
        keywords=keywords,
        preprocessing=preprocessing,
        labels=labels,
        task=task,
    )
    contexts = [first, *(with_target(first, target) for target in targets[1:])]
    how, abandonment = Inversion(mode, iterations, tolerance, damping), Abandonment(zero, mass)
    plans = [plan_of(context, layer, abandonment, how, coefficients, reference) for context in contexts]
    if len({plan.layers for plan in plans}) > 1:
        raise MethodError(
            "these decisions end at different depths of the network: name the layers, or call foveal.flow for each"
        )
    if plans[0].reference:
        return tuple(_flow(plan, plan.run(progress), (time.perf_counter() - started) / len(plans)) for plan in plans)
    passes = forward_backward_each(first, [plan.question(progress) for plan in plans], plans[0].layers)
    seconds = (time.perf_counter() - started) / len(plans)
    return tuple(_flow(plan, passed, seconds) for plan, passed in zip(plans, passes, strict=True))


def _flow(plan: FlowPlan, passed: PassResult, seconds: float) -> Flow:
    context, verdict = plan.context, passed.verdict
    assert verdict is not None
    maps: dict[str, Tensor] = {}
    signed: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}
    measured: dict[str, Any] = {}
    for layer in [at for at in passed.activations if at in plan.layers]:
        B = passed.studied["B"][layer] if passed.studied else None
        maps[layer], signed[layer], kept[layer] = share_of(
            passed.activations[layer], passed.cotangents[layer], B, plan.abandonment
        )
        if plan.reference:
            maps[layer], signed[layer] = _without_grid(
                plan, passed.activations[layer], layer, maps[layer], signed[layer]
            )
        if not bool(torch.isfinite(maps[layer]).all()):
            raise MethodError(f"the flow at {layer} is not finite: activations or gradients overflow; use float32")
        space = tuple(range(1, signed[layer].ndim))
        total = signed[layer].double().sum(space)
        measured[layer] = {
            "kept": kept[layer].double().mean(space).tolist(),
            "total": total.tolist(),
            "offset": (_start(plan, passed, total) - total).tolist(),
            "residual": _numbers(passed, "residual", layer, total),
            "iterations": _numbers(passed, "iterations", layer, total),
        }
    lie = whereabouts(context, maps)
    result = Flow(
        maps=maps,
        photos=context.photos,
        score=verdict.score.detach(),
        probability=verdict.probability,
        target=verdict.label,
        target_spec=verdict.spec,
        method=f"naflow:mode={plan.how.mode}",
        parameters=_parameters(plan),
        model=context.subject.name,
        measured=measured,
        seconds=seconds,
        versions=versions(),
        where=lie.where,
        signed=signed,
        kept=kept,
    )
    notes = [*context.remarks(), *passed.notes, *flow_remarks(result), *lie.notes]
    result = replace(result, notes=tuple(dict.fromkeys(notes)))
    return replace(result, auditor=partial(audited, plan, result))


def _without_grid(plan: FlowPlan, difference: Tensor, layer: str, *maps: Tensor) -> list[Tensor]:
    """The same sums, without the grid that the strides of the next stages leave."""
    names, stages = [stage.name for stage in plan.context.tracing().stages], plan.context.tracing().stages
    if layer not in names:
        return list(maps)
    later = stages[names.index(layer) :]
    steps = grid_steps([Windows.between(low, high, None).pool for low, high in pairwise(later)])
    activity = difference.abs().sum(1, keepdim=True)
    return [without_grid(map[:, None], activity, steps)[:, 0] for map in maps]


def _start(plan: FlowPlan, passed: PassResult, like: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """What flows: the score, or of a similarity α·v."""
    assert passed.verdict is not None
    start = plan.rules.start(passed.verdict) if plan.rules else passed.verdict.score
    return start.detach().to(like)


def _numbers(passed: PassResult, what: str, layer: str, like: Float[Tensor, " n"]) -> list[float]:
    numbers = passed.studied.get(what, {}).get(layer)
    return [0.0] * len(like) if numbers is None else numbers.tolist()


def _parameters(plan: FlowPlan) -> dict[str, Any]:
    how, abandonment = plan.how, plan.abandonment
    solving = {"iterations": how.iterations, "tolerance": how.tolerance}
    return {
        "mode": how.mode,
        "mass": abandonment.mass,
        "zero": abandonment.tolerance,
        **({"coefficients": plan.rules.weights} if isinstance(plan.rules, Weighed) else {}),
        **({"coefficients": "difference", "reference": plan.compared} if plan.reference else {}),
        **(solving if how.mode != "exact" else {}),
        **({"damping": how.damping} if how.mode == "damped" else {}),
    }


def flow_remarks(flow: Flow) -> tuple[str, ...]:
    """What a reader must know of what was kept and how inversions went, in these images together."""
    notes, asked = [], flow.parameters
    everything = all(bool((share > 0.999).all()) for share in flow.kept.values())
    if asked["mass"] == 1 and "reference" not in asked and everything:
        notes.append(
            "no neuron was left out, because the gradients of this network are nowhere zero: with mass=0.99 only the "
            "neurons that hold 99 % of the evidence are kept"
        )
    worst = {layer: max(flow.number(layer, "residual", i) for i in range(len(flow))) for layer in flow.layers}
    loose = {layer: residual for layer, residual in worst.items() if residual > 0.05}
    if loose:
        said = ", ".join(f"{layer} {100 * residual:.2g} %" for layer, residual in loose.items())
        # What comes from a layer that was itself rebuilt contradicts itself, and no number of steps mends that.
        hint = "; more iterations may help" if asked["mode"] == "project" else ""
        notes.append(f"the inversion did not converge: residual {said}{hint}")
    return tuple(notes)


@checked
def follow_pair(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    references: ImageLike | Batch,
    *,
    metric: MetricLike = "cosine",
    embedding: LayerName | None = None,
    mode: Mode = "exact",
    layer: LayerSpec = "all",
    mass: float = 1.0,
    zero: float = 0.0,
    coefficients: str = "contribution",
    reference: str | ImageLike | None = None,
    iterations: int = 30,
    tolerance: float = 1e-5,
    damping: float = 1.0,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> tuple[Flow, Flow]:
    """The flow of one similarity on both images: each is explained by the other, with the same weights of channels.

        query, reference = foveal.follow_pair(model, "query.jpg", "shelf.jpg")

    Args:
        images, references: the two images.
        metric, embedding: as in `foveal.Similar`.

    The other arguments and the errors are those of `flow`.
    """
    first, second = (
        flow(
            model, picture, Similar(against, metric=metric, embedding=embedding),
            mode=mode, layer=layer, mass=mass, zero=zero, coefficients=coefficients, iterations=iterations,
            tolerance=tolerance, damping=damping, reference=reference, progress=progress,
            inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels,
            task=task,
        )
        for picture, against in ((images, references), (references, images))
    )  # fmt: skip
    return first, second

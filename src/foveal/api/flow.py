"""How does attention form? `foveal.flow`: every layer at once, and the neurons that take part in each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal.attribution.batching import in_batches
from foveal.attribution.context import Context
from foveal.attribution.passes import BackwardTarget, PassResult, forward_backward, forward_backward_each
from foveal.attribution.perturbation import PerturbationScorer, Progress, runs_for
from foveal.attribution.placing import whereabouts
from foveal.attribution.prepare import prepare, with_target
from foveal.engine.guard import untouched
from foveal.engine.keywords import checked
from foveal.engine.select import LayerSpec
from foveal.errors import MethodError, TargetError, UnknownMethod
from foveal.images import Batch
from foveal.methods.fam import CHANNELS, Weighed
from foveal.methods.naflow import Abandonment, Inversion, Mode, rebuild, share_of
from foveal.models.model import Model
from foveal.results.flow import Audit, Audited, Flow
from foveal.results.provenance import versions
from foveal.targets import Similar, TargetLike, Task, compares

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.passes import Rules
    from foveal.engine.capture import ForwardRun
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
    """A map for every layer, of the neurons that take part in the decision: neuron abandoning attention flow.

    One forward and one backward for all layers in mode "exact"; the other modes invert what lies between them.

        flow = foveal.flow(model, "bird.jpg")
        flow.maps["layer1"], flow.signed["layer1"], flow.kept["layer1"]         # (n, h, w) each
        flow.strip().save("flow.png"); print(flow); print(flow.audit())

    Args:
        target: any decision of `foveal.explain`; a similarity flows by its channels' contributions.
        mode: how each layer is rebuilt from the one above: "exact", "project", "cascade", "cascade_all", "damped"
            (`foveal.methods.naflow` has the formulas; docs/flow.md what they are good for).
        layer: which layers, as in `explain`; all stages if left out. Modes that invert need layers of which each is
            made of the one before.
        mass: below 1, keep the fewest neurons that hold this share of Σ |A ⊙ G|, for networks of GELU or SiLU, whose
            gradients never vanish.
        zero: abandon neurons whose gradient's absolute value does not exceed this.
        coefficients: of a similarity: "contribution", "positive", "margin" or "linear" as in FAM, or "gradient", the
            derivative of the similarity itself.
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
    course = _course(context, layer, Abandonment(zero, mass), how, coefficients)
    return _flow(course, course.run(progress), time.perf_counter() - started)


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
    """`flow` of several decisions about the same pictures: one forward for all, a backward each.

        top, runner_up = foveal.flows(model, "bird.jpg", ["jay", "crow"])

    The arguments and the errors are those of `flow`, and each flow is what it gives alone. MethodError also for
    decisions that look at different depths of the network, where "all" layers are not the same.
    """
    if not targets:
        raise MethodError("there is no decision to follow: give one target at least")
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
    courses = [_course(context, layer, abandonment, how, coefficients) for context in contexts]
    if len({course.layers for course in courses}) > 1:
        raise MethodError(
            "these decisions look at different depths of the network: name the layers to follow them at, or follow "
            "each with foveal.flow"
        )
    passes = forward_backward_each(first, [course.question(progress) for course in courses], courses[0].layers)
    seconds = (time.perf_counter() - started) / len(courses)
    return tuple(_flow(course, passed, seconds) for course, passed in zip(courses, passes, strict=True))


@dataclass(frozen=True)
class FlowPlan:
    """What decides a flow.

    Attributes:
        layers: in the order they were asked for.
        rules: where the backward pass starts, for similarities; None is the score.
    """

    context: Context
    layers: tuple[str, ...]
    abandonment: Abandonment
    how: Inversion
    rules: Rules | None

    def run(self, progress: Progress | None = None) -> PassResult:
        """Forward, backward, and the inversion where there is one."""
        asked = self.question(progress)
        run = partial(
            forward_backward, layers=self.layers, gradient=True, backward=True, rules=asked.rules, study=asked.study
        )
        return in_batches(self.context, self.layers, run, "flow", self.how.mode)

    def question(self, progress: Progress | None = None) -> BackwardTarget:
        """What is asked of the network."""
        study = partial(self._study, progress=progress) if self.how.mode != "exact" else None
        return BackwardTarget(self.context.target, self.rules, study)

    def _study(
        self, run: ForwardRun, G: Mapping[str, Tensor], notes: list[str], *, progress: Progress | None
    ) -> dict[str, dict[str, Tensor]]:
        layers = [layer for layer in run.activations if layer in self.layers]
        done = [0]

        def tick(layer: str) -> None:
            done[0] += 1
            if progress:
                progress(f"{self.how.mode} at {layer}", done[0], len(layers) - 1)

        rebuilt = rebuild(run, layers, G, self.how, self.abandonment, tick)
        notes += rebuilt.notes
        return {"B": rebuilt.B, "residual": rebuilt.residual, "iterations": rebuilt.iterations}


def _course(
    context: Context, layer: LayerSpec, abandonment: Abandonment, how: Inversion, coefficients: str
) -> FlowPlan:
    return FlowPlan(context, context.every_layer(layer), abandonment, how, _rules(context, coefficients))


def _rules(context: Context, coefficients: str) -> Rules | None:
    if coefficients not in (*CHANNELS, "linear", "gradient"):
        known = ", ".join([*CHANNELS, "linear", "gradient"])
        raise UnknownMethod(f"there are no coefficients {coefficients!r} of a flow: say {known}")
    if coefficients != "contribution" and not compares(context.target):
        raise MethodError(
            f"coefficients={coefficients!r} weigh the channels of a similarity, and this decision has none"
        )
    return Weighed(coefficients) if compares(context.target) and coefficients != "gradient" else None


def _flow(course: FlowPlan, passed: PassResult, seconds: float) -> Flow:
    context, verdict = course.context, passed.verdict
    assert verdict is not None
    maps: dict[str, Tensor] = {}
    signed: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}
    measured: dict[str, Any] = {}
    for layer in [at for at in passed.activations if at in course.layers]:
        B = passed.studied["B"][layer] if passed.studied else None
        maps[layer], signed[layer], kept[layer] = share_of(
            passed.activations[layer], passed.cotangents[layer], B, course.abandonment
        )
        if not bool(torch.isfinite(maps[layer]).all()):
            raise MethodError(f"the flow at {layer} is not finite: activations or gradients overflow; use float32")
        total = signed[layer].double().sum((1, 2))
        measured[layer] = {
            "kept": kept[layer].double().mean((1, 2)).tolist(),
            "total": total.tolist(),
            "offset": (_start(course, passed, total) - total).tolist(),
            "residual": _numbers(passed, "residual", layer, total),
            "iterations": _numbers(passed, "iterations", layer, total),
        }
    lie = whereabouts(context, maps)
    notes = [*context.remarks(verdict.label), *passed.notes, *_remarks(course, kept, measured), *lie.notes]
    result = Flow(
        maps=maps,
        photos=context.photos,
        score=verdict.score.detach(),
        probability=verdict.probability,
        target=verdict.label,
        target_spec=verdict.spec,
        method=f"naflow:mode={course.how.mode}",
        parameters=_parameters(course),
        model=context.subject.name,
        measured=measured,
        notes=tuple(dict.fromkeys(notes)),
        seconds=seconds,
        versions=versions(),
        where=lie.where,
        signed=signed,
        kept=kept,
    )
    return replace(result, auditor=partial(_audited, course, result))


def _start(course: FlowPlan, passed: PassResult, like: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """What flows: the score, or of a similarity α·v."""
    assert passed.verdict is not None
    start = course.rules.start(passed.verdict) if course.rules else passed.verdict.score
    return start.detach().to(like)


def _numbers(passed: PassResult, what: str, layer: str, like: Float[Tensor, " n"]) -> list[float]:
    numbers = passed.studied.get(what, {}).get(layer)
    return [0.0] * len(like) if numbers is None else numbers.tolist()


def _parameters(course: FlowPlan) -> dict[str, Any]:
    how, abandonment = course.how, course.abandonment
    solving = {"iterations": how.iterations, "tolerance": how.tolerance}
    return {
        "mode": how.mode,
        "mass": abandonment.mass,
        "zero": abandonment.tolerance,
        **({"coefficients": course.rules.weights} if isinstance(course.rules, Weighed) else {}),
        **(solving if how.mode != "exact" else {}),
        **({"damping": how.damping} if how.mode == "damped" else {}),
    }


def _remarks(course: FlowPlan, kept: Mapping[str, Tensor], measured: Mapping[str, Any]) -> list[str]:
    notes = []
    if course.abandonment.mass == 1 and all(bool((share > 0.999).all()) for share in kept.values()):
        notes.append(
            "no neuron is abandoned anywhere, because this network's gradients never vanish: keep those that hold 99 % "
            "of the evidence with mass=0.99"
        )
    worst = {layer: max(numbers["residual"]) for layer, numbers in measured.items()}
    loose = {layer: residual for layer, residual in worst.items() if residual > 0.05}
    if loose:
        said = ", ".join(f"{layer} {100 * residual:.2g} %" for layer, residual in loose.items())
        # What comes from a layer that was itself rebuilt contradicts itself, and no number of steps mends that.
        hint = "; more iterations may help" if course.how.mode == "project" else ""
        notes.append(f"the inversion left a residual: {said}{hint}")
    return notes


def _audited(course: FlowPlan, result: Flow, progress: Progress | None = None) -> Audit:
    """The network, asked with neurons of each layer set to zero."""
    context = course.context
    passed = replace(course, how=Inversion()).run()
    n, layers = len(context.x), result.layers
    audited = []
    with untouched(context.model), runs_for(context, passed) as runs, torch.no_grad():
        for number, layer in enumerate(layers):
            keep = course.abandonment.kept(passed.activations[layer], passed.cotangents[layer])
            pairs = []
            for image in range(n):
                probe = PerturbationScorer(context, passed, image, layer, lambda done, total: None, runs)
                own = keep[image : image + 1].to(probe.A.dtype)
                pairs.append(_scores(probe, torch.cat([probe.A * own, probe.A * (1 - own)])))
                probe.forget()
                if progress:
                    progress(f"audit of {layer}", number * n + image + 1, n * len(layers))
            without_abandoned, without_kept = torch.stack(pairs).unbind(1)
            assert result.score is not None
            offset = torch.tensor([result.number(layer, "offset", i) for i in range(n)])
            if course.rules:
                offset = torch.full_like(offset, torch.nan)  # of α·v, not of the similarity that is asked for
            audited.append(Audited(layer, result.score.cpu(), without_abandoned.cpu(), without_kept.cpu(), offset))
    return Audit(tuple(audited))


def _scores(probe: PerturbationScorer, copies: Float[Tensor, "2 c h w"]) -> Float[Tensor, " 2"]:
    """Each asked alone: an embedding of zeros has no similarity, which is no answer rather than an error."""

    def asked(copy: Tensor) -> Tensor:
        try:
            return probe.resumed(lambda start, stop: copy, 1)
        except TargetError:
            return torch.full((1,), torch.nan)

    return torch.cat([asked(copy) for copy in copies.split(1)])


@checked
def follow_pair(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    references: ImageLike | Batch,
    *,
    metric: MetricLike = "cosine",
    embedding: str | None = None,
    mode: Mode = "exact",
    layer: LayerSpec = "all",
    mass: float = 1.0,
    zero: float = 0.0,
    coefficients: str = "contribution",
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
    """The flow of one similarity on both pictures: each is explained by the other, with the same weights of channels.

        query, reference = foveal.follow_pair(model, "query.jpg", "shelf.jpg")

    Args:
        images, references: the two pictures.
        metric, embedding: as in `foveal.Similar`.

    The other arguments and the errors are those of `flow`.
    """
    first, second = (
        flow(
            model, picture, Similar(against, metric=metric, embedding=embedding),
            mode=mode, layer=layer, mass=mass, zero=zero, coefficients=coefficients, iterations=iterations,
            tolerance=tolerance, damping=damping, progress=progress,
            inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels,
            task=task,
        )
        for picture, against in ((images, references), (references, images))
    )  # fmt: skip
    return first, second

"""What every formula makes of as few passes through the network as there can be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from foveal.attribution.batching import BatchSlice, in_batches
from foveal.attribution.context import Context
from foveal.attribution.formula import FormulaError
from foveal.attribution.passes import BackwardTarget, PassResult, forward_backward, forward_backward_each, from_late
from foveal.attribution.placing import whereabouts
from foveal.engine.address import INPUT
from foveal.engine.guard import untouched
from foveal.engine.overwritten import kept_if_overwritten
from foveal.errors import FovealError, MethodError, MissingExtra
from foveal.images.place import Place
from foveal.targets import TargetScore, compares

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.method import Method
    from foveal.attribution.passes import Rules
    from foveal.attribution.perturbation import PerturbationScorer, Progress


@dataclass(frozen=True)
class MethodRequest:
    """One method, the name its answer goes by, and the layers it is asked about."""

    name: str
    method: Method
    layers: tuple[str, ...]


@dataclass
class Attributions:
    """What the network was found to use.

    Attributes:
        verdict: the decision, None where none was asked for.
        maps: method -> layer -> (n, h, w), raw and signed; layers in forward order.
        where: layer -> where the cells of its maps lie; without those that lie edge to edge.
        notes: what a reader must know of all of them.
        cautions: method -> what a reader must know of its maps.
        measured: method -> what it found out about itself, such as how much relevance it conserved.
        refused: method -> why it does not apply here.
    """

    verdict: TargetScore | None = None
    maps: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    where: dict[str, Place] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cautions: dict[str, list[str]] = field(default_factory=dict)
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, FovealError] = field(default_factory=dict)


def attribute(context: Context, asked: Sequence[MethodRequest], progress: Progress | None = None) -> Attributions:
    """The evidence of every method at every layer it was asked about.

    One forward and, where needed, one backward serve all methods that share the rules of the backward pass;
    methods that ask the network again do so afterwards.

    Raises:
        ModelError, LayerError, TargetError: when the network, a layer or the decision does not fit.
    """
    evidence = Attributions()
    if context.differentiable:
        evidence.refused |= {
            request.name: _not_differentiable(request.name) for request in asked if not request.method.differentiable
        }
    if not compares(context.target):
        evidence.refused |= {
            request.name: _no_similarity(request.name) for request in asked if request.method.similarity
        }
    for rules, group in _by_rules([request for request in asked if request.name not in evidence.refused]).items():
        try:
            passed = _pass(context, rules, group)
        except MethodError as error:
            evidence.refused |= {request.name: error for request in group}
            continue
        evidence.verdict = evidence.verdict or passed.verdict
        evidence.notes += passed.notes
        for request in group:
            _answer(context, request, rules, passed, evidence, progress)
    evidence.maps = {request.name: evidence.maps[request.name] for request in asked if request.name in evidence.maps}
    lie = whereabouts(context, {layer: map for maps in evidence.maps.values() for layer, map in maps.items()})
    evidence.where |= lie.where
    evidence.notes += lie.notes
    return evidence


def _by_rules(asked: Sequence[MethodRequest]) -> dict[Rules | None, list[MethodRequest]]:
    groups: dict[Rules | None, list[MethodRequest]] = {}
    for request in asked:
        groups.setdefault(request.method.backward_rules(), []).append(request)
    return groups


def _pass(context: Context, rules: Rules | None, group: Sequence[MethodRequest]) -> PassResult:
    needs = {request.method.needs for request in group}
    kept = [*dict.fromkeys(layer for request in group for layer in _kept(request))]
    gradient = context.target is not None and needs != {"activations"}
    backward = gradient and "gradients" in needs
    paths = backward and any(request.method.between is not None for request in group)
    if needs != {"forwards"}:
        run = partial(forward_backward, layers=kept, gradient=gradient, backward=backward, rules=rules, paths=paths)
        return in_batches(context, kept, run, repr(rules)) if backward else run(context)
    from foveal.attribution.forwards import recorded

    with recorded(context, kept) as recording:
        # A recording has all rows of the layer, also where several are of one image.
        rows, asked = (replace(context, target=None), context.target) if recording else (context, context.target)
        question = [BackwardTarget(asked)]

        def ask(layers: Sequence[str]) -> PassResult:
            return forward_backward_each(rows, question, layers, gradient=gradient, backward=False)[0]

        # Where only the input is altered nothing need be kept, but a decision looks at how the graph ends.
        read = context.target.layers if context.target else ()
        passed = ask(kept) if kept or read else from_late(context, ask)
        passed.recording = recording
    return passed


def _kept(request: MethodRequest) -> list[str]:
    return [layer for layer in request.layers if request.method.needs != "forwards" or layer != INPUT]


def _answer(
    context: Context,
    request: MethodRequest,
    rules: Rules | None,
    passed: PassResult,
    evidence: Attributions,
    progress: Progress | None,
) -> None:
    """The maps of one method, or why it does not apply."""
    measured: dict[str, Any] = {}
    cautions: list[str] = []
    try:
        if request.method.needs == "forwards":
            maps = run_perturbation_method(context, request, passed, measured, cautions, progress)
        else:
            _refuse_by_path(request, passed)
            maps = _mapped(request, passed, cautions, differentiable=context.differentiable)
        if request.method.needs == "gradients" and not rules and (own := context.tracing().own_backwards):
            cautions.append(_own_backwards(own))
        if rules:
            rules.account(passed, measured, cautions)
            _check_sum(context, rules, passed, measured, cautions)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        evidence.refused[request.name] = _overflow(request.name)
        return
    except FormulaError:
        raise
    except (MethodError, MissingExtra) as error:
        evidence.refused[request.name] = error
        return
    evidence.maps[request.name] = maps
    evidence.cautions[request.name] = cautions
    evidence.measured[request.name] = measured


def _check_sum(
    context: Context, rules: Rules, passed: PassResult, measured: dict[str, Any], cautions: list[str]
) -> None:
    """Say what is missing, and where, if what arrived and what was lost is not what began."""
    missing = rules.missing(passed)
    if missing is None:
        return
    first = next(iter(passed.activations))
    measured.setdefault(first, {})["missing"] = missing.tolist()
    if bool((missing != 0).any()):
        worst = int(missing.abs().argmax())
        assert passed.begun is not None
        cautions.append(
            f"relevance does not add up: {float(missing[worst]):.3g} of {float(passed.begun[worst, 0]):.3g} is missing"
            + (f" (image {worst}, counted from 0)" if len(missing) > 1 else "")
            + f", lost {_where_lost(context, rules, worst, first)}; an operation there does not follow the rules"
        )


def _where_lost(context: Context, rules: Rules, image: int, first: str) -> str:
    """Between which stages a sum loses most, found by going back to each of them alone."""
    alone = replace(context, x=context.x[image : image + 1], arguments=context.arguments.row(image))
    assert context.target is not None
    alone = replace(alone, target=BatchSlice(context.target, image, image + 1, len(context.x)))
    layers = list(dict.fromkeys([first, *(stage.name for stage in context.tracing().traced)]))
    gaps: list[tuple[str, float]] = []
    for layer in layers:
        with suppress(FovealError):
            gap = rules.missing(forward_backward(alone, [layer], gradient=True, backward=True, rules=rules))
            gaps.append((layer, 0.0 if gap is None else float(gap[0])))
    gaps.append(("the output", 0.0))
    steps = [(abs(a - b), at, after) for (at, a), (after, b) in pairwise(gaps)]
    if not steps:
        return "on the way"
    _, at, after = max(steps)
    return f"between {at} and {after}"


def _mapped(
    request: MethodRequest, passed: PassResult, cautions: list[str], *, differentiable: bool
) -> dict[str, Tensor]:
    maps: dict[str, Tensor] = {}
    with torch.inference_mode(False), torch.set_grad_enabled(differentiable):
        for layer in (layer for layer in passed.activations if layer in request.layers):
            A = passed.activations[layer]
            G = passed.cotangents.get(layer, A)
            M = maps[layer] = request.method(A, G)
            if not bool(torch.isfinite(M).all()):
                finite = bool(torch.isfinite(A).all() and torch.isfinite(G).all())
                raise _not_finite(request.name, M) if finite else _overflow(request.name)
            if differentiable and not M.requires_grad and (A.requires_grad or G.requires_grad):
                raise FormulaError(
                    f"the map of {request.name} has no gradient: its formula leaves the graph, by detach(), no_grad() "
                    "or NumPy; use torch operations, or leave out differentiable"
                )
            if request.method.caution and (words := request.method.caution(A.detach(), G.detach(), M.detach())):
                cautions.append(f"{layer}: {words}")
    return maps


def _refuse_by_path(request: MethodRequest, passed: PassResult) -> None:
    """Methods that hold behind certain operations only are refused where others lie on the way to the score."""
    allowed = request.method.between
    for layer in request.layers if allowed is not None else ():
        others = passed.between.get(layer, frozenset()) - (allowed or frozenset())
        if others:
            raise MethodError(
                f"{request.name} does not apply at {layer}: it needs {request.method.condition}, but the path to the "
                f"score passes through {', '.join(sorted(others))}; use hirescam, which is defined everywhere"
            )


def _own_backwards(names: Sequence[str]) -> str:
    return (
        f"gradients go through {', '.join(names)}, where the network's own code defines them: this map uses them, "
        "even if they are not the derivatives"
    )


def _not_differentiable(method: str) -> MethodError:
    return MethodError(
        f"{method} has no differentiable map, because it runs the network again or has backward rules of its own: "
        "use a method of activations and gradients, such as gradcam or hirescam"
    )


def _no_similarity(method: str) -> MethodError:
    return MethodError(
        f"{method} explains similarities, and this target compares nothing: pass target=foveal.Similar(reference) "
        "(in Python also foveal.Prototypes or foveal.Neighbors), or use gradcam"
    )


def _overflow(method: str) -> MethodError:
    return MethodError(f"the {method} map is not finite: activations or gradients overflow; run the model in float32")


def _not_finite(method: str, M: Tensor) -> MethodError:
    return MethodError(
        f"the {method} map is not finite, although activations and gradients are, in "
        f"{int((~torch.isfinite(M)).flatten(1).any(1).sum())} of {len(M)} images: the formula divides by zero, takes a "
        "root or logarithm of a number that is not positive, or its numbers overflow"
    )


def run_perturbation_method(
    context: Context,
    asked: MethodRequest,
    passed: PassResult,
    measured: dict[str, Any],
    cautions: list[str],
    progress: Progress | None,
) -> dict[str, Float[Tensor, "n h w"]]:
    """The maps of a method that asks the network again, image after image."""
    from foveal.attribution.forwards import runs_for
    from foveal.attribution.perturbation import PerturbationScorer, failing

    n, maps = len(context.x), {}
    with untouched(context.model), runs_for(context, passed) as runs, torch.no_grad():
        for layer in asked.layers:
            each = []
            for image in range(n):

                def tick(done: int, total: int, before: int = image, layer: str = layer) -> None:
                    if progress:
                        progress(f"{asked.name} at {layer}", before * total + done, n * total)

                probe = PerturbationScorer(context, passed, image, layer, tick, runs)
                with failing(asked.name, probe):
                    each.append(kept_if_overwritten(partial(_one_map, asked, probe)))
                probe.forget()
                _gather(measured, layer, probe.measured)
                cautions += [f"{layer}: {words}" for words in probe.cautions]
            maps[layer] = torch.stack(each)
            if not bool(torch.isfinite(maps[layer]).all()):
                raise MethodError(f"the {asked.name} map is not finite: scores overflow; run the model in float32")
    return maps


def _one_map(asked: MethodRequest, probe: PerturbationScorer) -> Tensor:
    """The map of one image; (h, w) where the method chooses its own resolution."""
    M = asked.method.formula(probe, **asked.method.options)
    if not isinstance(M, Tensor) or M.ndim != probe.x.ndim - 2 or not M.is_floating_point():
        what = f"{M.dtype} {tuple(M.shape)}" if isinstance(M, Tensor) else f"a {type(M).__name__}"
        raise FormulaError(
            f"{asked.method.name} returned {what}: a formula that runs the network returns the map of one image, a "
            "floating-point tensor (h, w)"
        )
    return M


def _gather(measured: dict[str, Any], layer: str, numbers: dict[str, Any]) -> None:
    """Numbers a picture, under the layer they belong to."""
    for key, value in numbers.items():
        measured.setdefault(layer, {}).setdefault(key, []).append(value)

"""One forward and one backward, and what every formula makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from foveal.decisions import Decision, Outcome, Verdict
from foveal.engine.address import Address
from foveal.engine.capture import Run, capture
from foveal.engine.layout import Layout, channels_first, find_layout
from foveal.engine.stages import Structure, describe
from foveal.errors import LayerError, MethodError, TargetError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.methods import Method


class Tracing:
    """The structure of a model for one input, traced when first asked for."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self._arguments = (model, x)

    def __call__(self) -> Structure:
        return describe(*self._arguments)


@dataclass
class Evidence:
    """What one pass through the network showed.

    Attributes:
        verdict: the decision, None where none was asked for.
        maps: method -> layer -> (n, h, w), raw and signed; layers in forward order.
        notes: what a reader must know of the pass.
        cautions: method -> what a reader must know of its maps.
        refused: method -> why it does not apply here.
    """

    verdict: Verdict | None = None
    maps: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cautions: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, MethodError] = field(default_factory=dict)


def look(
    tracing: Tracing,
    model: nn.Module,
    x: Float[Tensor, "n c h w"],
    layers: Sequence[str],
    decision: Decision | None,
    formulas: Sequence[Method],
    labels: Sequence[str] | None,
) -> Evidence:
    """The evidence of every formula at every layer, from one forward and, where needed, one backward.

    Raises:
        ModelError, LayerError, TargetError: when the network, a layer or the decision does not fit.
    """
    gradient = decision is not None and any(formula.needs == "gradients" for formula in formulas)
    asked = decision.layers if decision else ()
    stop = decision is None or bool(asked)
    every = [*dict.fromkeys([*layers, *asked])]
    # A forward that stops early must know which call of a reused module is the last.
    last_calls = tracing().last_calls(model, every) if stop else None
    evidence = Evidence()
    with capture(model, every, gradient=gradient, last_calls=last_calls) as run:
        cotangents = _decide(run, x, decision, labels, evidence, stop=stop, gradient=gradient)
        layouts = {layer: _layout(run, layer, x, tracing) for layer in run.activations if layer in layers}
        evidence.notes += [
            _reused(layer, run.calls[layer]) for layer in layers if run.calls[layer] > 1 and "#" not in layer
        ]
        if evidence.verdict is not None and gradient:
            _refuse_by_path(formulas, run, layouts, evidence.verdict.score, evidence)
        activations = {
            layer: channels_first(run.activations[layer].detach(), layout) for layer, layout in layouts.items()
        }
        cotangents = {
            layer: channels_first(cotangents[layer], layout) for layer, layout in layouts.items() if layer in cotangents
        }
    with torch.no_grad():
        for formula in formulas:
            if formula.name in evidence.refused:
                continue
            _apply(formula, activations, cotangents, evidence)
    return evidence


def _decide(
    run: Run,
    x: Tensor,
    decision: Decision | None,
    labels: Sequence[str] | None,
    evidence: Evidence,
    *,
    stop: bool,
    gradient: bool,
) -> dict[str, Tensor]:
    """The cotangents of the decision's score.

    Where the model's own forward turns gradients off, it runs once more with them on.
    """
    for through_no_grad in (False, True):
        output = run.forward(x, stop=stop, through_no_grad=through_no_grad)
        if decision is None:
            return {}
        evidence.verdict = decision.decide(Outcome(output, run.activations, labels))
        _check(evidence.verdict, len(x))
        if not gradient:
            return {}
        try:
            cotangents = run.gradients(evidence.verdict.score)
        except LayerError:
            if through_no_grad:
                raise
            continue
        if through_no_grad:
            evidence.notes.append(
                "the model's forward turns gradients off inside; they were kept on for this explanation"
            )
        return cotangents
    raise AssertionError("unreachable")


def _apply(
    formula: Method, activations: Mapping[str, Tensor], cotangents: Mapping[str, Tensor], evidence: Evidence
) -> None:
    maps: dict[str, Tensor] = {}
    cautions: list[str] = []
    try:
        for layer, A in activations.items():
            G = cotangents.get(layer, A)
            M = maps[layer] = formula(A, G)
            if not bool(torch.isfinite(M).all()):
                raise _overflow(formula.name)
            if formula.caution and (words := formula.caution(A, G, M)):
                cautions.append(f"{layer}: {words}")
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        evidence.refused[formula.name] = _overflow(formula.name)
        return
    except MethodError as error:
        evidence.refused[formula.name] = error
        return
    evidence.maps[formula.name], evidence.cautions[formula.name] = maps, cautions


def _refuse_by_path(
    formulas: Sequence[Method], run: Run, layers: Iterable[str], score: Tensor, evidence: Evidence
) -> None:
    """Methods that hold behind certain operations only are refused where others lie on the way to the score."""
    for formula in formulas:
        for layer in layers if formula.between is not None else ():
            others = run.between(layer, score) - (formula.between or frozenset())
            if others:
                evidence.refused[formula.name] = MethodError(
                    f"{formula.name} does not apply at {layer}: it needs {formula.condition}, but the way to the "
                    f"score leads through {', '.join(sorted(others))}; use hirescam, which is defined everywhere"
                )


def _overflow(method: str) -> MethodError:
    return MethodError(f"the {method} map is not finite: activations or gradients overflow; run the model in float32")


def _check(verdict: Verdict, n: int) -> None:
    if len(verdict.score) != n:
        raise TargetError(
            f"the target gave {len(verdict.score)} scores for {n} images: it must give one an image, shape ({n},)"
        )
    if not bool(torch.isfinite(verdict.score).all()):
        raise TargetError(
            f"the score of {verdict.words[0]} is {verdict.score.detach().tolist()[0]}: nothing can be explained; "
            "check the input's scale and the model's weights"
        )


def _layout(run: Run, layer: str, x: Tensor, tracing: Tracing) -> Layout:
    A = run.activations[layer]
    if x.ndim != 4 and A.ndim == 4:
        return "nchw"
    known = find_layout(A.shape, x.shape[2:]) or tracing().layouts.get(Address.parse(layer).module)
    if known and A.is_floating_point():
        return known
    nearest = tracing().nearest_spatial(Address.parse(layer).module)
    hint = f"the nearest feature map is {nearest!r}" if nearest else "choose a layer that keeps (n, c, h, w)"
    raise LayerError(f"layer {layer!r} gives {tuple(A.shape)}, which is not a feature map (n, c, h, w): {hint}")


def _reused(layer: str, calls: int) -> str:
    return f"{layer} runs {calls} times in one forward; this is the last call ({layer}#{calls - 1})"

"""A tree of parts of one decision, ready to grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from foveal.attribution.context import Context
from foveal.attribution.differences import difference_pass, with_reference
from foveal.attribution.passes import PassResult, forward_backward
from foveal.engine.address import INPUT
from foveal.engine.backward import weighted
from foveal.engine.capture import capture
from foveal.engine.layout import Layout
from foveal.engine.rescale import Rescale
from foveal.errors import MethodError
from foveal.hierarchy.build import segment_between, single, stages_of, ungrown, with_maps
from foveal.hierarchy.part_expansion import PartExpander, StageEvidence
from foveal.hierarchy.settings import TreeSettings
from foveal.results.tree import Tree

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.passes import Rules
    from foveal.engine.structure import Stage

INCOMPLETE = 1e-3  # of the difference of the scores, that may be missing at a stage before it is said
TOO_MUCH = 0.5  # of it, to be of use
CANCELLED = 0.1  # of all that is for and against: where the difference is less, gaps are shares of this


def part_tree(
    context: Context,
    settings: TreeSettings,
    rules: Rules | None,
    reference: Float[Tensor, "1 c h w"] | None,
    names: Sequence[str] = (),
) -> Tree:
    """The tree of one image, not grown.

    Args:
        rules: how contributions are carried back; None for the derivative.
        reference: what the image is compared with, where the rules do so.
        names: the stages, all up to what the decision looks at if left out.
    """
    names = tuple(names) or stages_of(context)
    known = {stage.name: stage for stage in context.tracing().stages}
    stages = tuple(known[name] for name in names)
    notes: list[str] = []
    if reference is None:
        passed = forward_backward(context, names, gradient=True, backward=True, rules=rules)
        asked, decision = context, passed
    else:
        asked, decision = with_reference(context, reference)
        passed = difference_pass(asked, names)
        decision = replace(decision, activations={names[-1]: passed.activations[names[-1]][:1]})
    evidence = [stage_evidence(passed, name, paired=reference is not None) for name in names]
    assert decision.verdict is not None and passed.verdict is not None
    score = float(decision.verdict.score[0])
    taken = score - float(passed.verdict.score[1]) if reference is not None else score
    if reference is not None:
        notes += _incomplete(evidence, stages, taken)
    below = [item.A for item in evidence]

    def mode() -> AbstractContextManager[Any] | None:
        if reference is not None:
            return Rescale()
        return rules.mode() if rules else None

    expander = PartExpander(
        stages,
        evidence,
        taken,
        reference is not None,
        cache(
            lambda stage: segment_between(context, (stages[stage - 1], below[stage - 1]), (stages[stage], below[stage]))
        ),
        mode,
        lambda maps: with_maps(context, decision, names[-1], maps),
        lambda stage, cotangents: _to_input(asked, stages[stage], cotangents, mode),
        settings,
        (int(context.x.shape[2]), int(context.x.shape[3])),
    )
    return ungrown(context, stages, expander, decision.verdict, settings, [*passed.notes, *notes])


def stage_evidence(passed: PassResult, name: str, *, paired: bool) -> StageEvidence:
    """What the first image of a pass brings at a layer; `paired` with its reference, the second."""
    A, G = single(passed.activations[name]), single(passed.cotangents[name])
    return StageEvidence(A[:1], A[1:] if paired else torch.zeros_like(A), G[:1])


def _incomplete(evidence: Sequence[StageEvidence], stages: Sequence[Stage], taken: float) -> list[str]:
    """What to say where differences do not add up.

    Raises:
        MethodError: where most of them are missing, or there is nothing to take apart.
    """
    if taken == 0:
        raise MethodError("the reference has the same score as the image, so there is nothing to decompose")
    whole = [item.R.double() for item in evidence]
    gaps = {
        stage.name: (float(R.sum()) - taken) / max(abs(taken), CANCELLED * float(R.abs().sum()))
        for stage, R in zip(stages, whole, strict=True)
    }
    worst = max(gaps, key=lambda name: abs(gaps[name]))
    if abs(gaps[worst]) > TOO_MUCH:
        raise MethodError(
            f"differences do not add up in this network: at {worst} they are {100 * gaps[worst]:+.0f} % off, so an "
            "operation between them has no rule; use nodes='neurons', or rule='exact'"
        )
    missing = [f"{name} {100 * gap:+.1f} %" for name, gap in gaps.items() if abs(gap) > INCOMPLETE]
    return [f"differences do not add up exactly: {', '.join(missing)}"] if missing else []


def _to_input(
    context: Context,
    stage: Stage,
    cotangents: Sequence[Float[Tensor, "1 c h w"]],
    mode: Callable[[], AbstractContextManager[Any] | None],
) -> list[Float[Tensor, "c h w"]]:
    """Contributions of each pixel to what these cotangents weigh."""
    x, layers = context.x, [INPUT, stage.name]
    last_calls = context.tracing().last_calls(context.model, layers)
    with capture(context.model, layers, last_calls=last_calls) as run:
        run.forward(x, context.arguments, stop=True, mode=mode())
        found = []
        for cotangent in cotangents:
            start = _as_returned(cotangent, stage.layout)
            rows = torch.cat([start, torch.zeros_like(start)]) if len(x) == 2 else start
            back = weighted(run.activations[stage.name], [run.origins[INPUT]], rows, retain_graph=True)[0]
            found.append((back[:1] * (x[:1] - x[1:] if len(x) == 2 else x))[0])
    return found


def _as_returned(maps: Tensor, layout: Layout) -> Tensor:
    return maps if layout == "nchw" else maps.permute(0, 2, 3, 1)

"""One forward and, where wanted, one backward: the decision, the activations and their cotangents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from foveal.attribution.context import Context
from foveal.attribution.each_label import one_pass
from foveal.engine.address import INPUT, Address, tensor_parts
from foveal.engine.capture import ForwardRun, capture
from foveal.engine.checkpoints import CheckpointingError
from foveal.engine.layout import Layout, channels_first
from foveal.engine.overwritten import kept_if_overwritten
from foveal.engine.row_order import row_orders
from foveal.errors import LayerError, MethodError, ModelError, TargetError
from foveal.targets import ModelOutput, Target, TargetScore

if TYPE_CHECKING:
    from foveal.engine.resume import Recording
    from foveal.engine.rules import RulesMode

Study: TypeAlias = "Callable[[ForwardRun, Mapping[str, Tensor], list[str]], dict[str, dict[str, Tensor]]]"
"""What else is to be found out while the graph is there: (run, cotangents, notes) -> what -> layer -> (n, …)."""


@dataclass(frozen=True)
class BackwardTarget:
    """A decision, and what is wanted of the way to it.

    Attributes:
        decision: None where only activations are.
        rules: what the backward pass does at each operation; None for derivatives.
        study: looks at the run once the cotangents are known.
    """

    decision: Target | None
    rules: Rules | None = None
    study: Study | None = None


@dataclass
class PassResult:
    """What one pass showed.

    Attributes:
        verdict: the decision; None without one.
        activations: layer -> (n, c, h, w), channels first whatever the network's own layout.
        cotangents: the same of d score / d activation, or what the rules made of it; empty without a backward.
        between: layer -> names of the operations between it and the score.
        lost: (n,) what went to biases and epsilon terms on the way back, where rules count it.
        begun: (n, 2) with what relevance began at the network's output: its sum, and that of its absolute values; where
            rules count it.
        notes: what a reader must know of the pass.
        recording: of what came before the layer, for methods that go on from there.
        studied: what a `Study` found: what -> layer -> (n, …).
    """

    verdict: TargetScore | None
    activations: dict[str, Tensor]
    cotangents: dict[str, Tensor]
    between: Mapping[str, frozenset[str]]
    lost: Tensor | None
    notes: list[str]
    begun: Tensor | None = None
    recording: Recording | None = None
    studied: dict[str, dict[str, Tensor]] = field(default_factory=dict)


def forward_backward(
    context: Context,
    layers: Sequence[str],
    *,
    gradient: bool,
    backward: bool,
    rules: Rules | None = None,
    paths: bool = False,
    study: Study | None = None,
) -> PassResult:
    """One pass that keeps `layers`.

    Args:
        gradient: record the graph from the first of the layers on.
        backward: follow it back.
        rules: what the backward pass does at each operation; None for derivatives.
        paths: find out which operations lie between the layers and the score.
        study: looks at the run once the cotangents are known.

    Raises:
        ModelError, LayerError, TargetError, MethodError: when network, layer, decision or rules do not fit.
    """
    question = BackwardTarget(context.target, rules, study)
    return forward_backward_each(context, [question], layers, gradient=gradient, backward=backward, paths=paths)[0]


def decided(context: Context) -> PassResult:
    """The decision alone, with as much of a graph as it needs to read how the network's output ends."""
    if context.target and context.target.layers:
        return forward_backward(context, [], gradient=False, backward=False)
    return from_late(context, partial(forward_backward, context, gradient=True, backward=False))


def from_late(context: Context, run: Callable[[Sequence[str]], PassResult]) -> PassResult:
    """The pass with a graph that begins late, or, where no late layer has a row an image, at the input."""
    try:
        return run([context.tracing().late])
    except LayerError:
        return run([INPUT])


def forward_backward_each(
    context: Context,
    questions: Sequence[BackwardTarget],
    layers: Sequence[str],
    *,
    gradient: bool = True,
    backward: bool = True,
    paths: bool = False,
) -> list[PassResult]:
    """Several questions on one forward, with a backward each; the target of the context itself is not looked at.

    Of several labels of each image the forward is one over the images.
    """
    alone = partial(forward_backward_each, layers=layers, gradient=gradient, backward=backward, paths=paths)
    if labels := one_pass(context, questions, alone):
        return labels
    run = partial(_run_each, context, questions, layers, gradient=gradient, backward=backward, paths=paths)
    return run() if context.differentiable else kept_if_overwritten(run)


def _run_each(
    context: Context,
    questions: Sequence[BackwardTarget],
    layers: Sequence[str],
    *,
    gradient: bool,
    backward: bool,
    paths: bool,
) -> list[PassResult]:
    asked = [layer for question in questions if question.decision for layer in question.decision.layers]
    stop = all(question.decision is None or question.decision.layers for question in questions)
    every = [*dict.fromkeys([*layers, *asked])]
    # A forward that stops early must know which call of a reused module is the last.
    last_calls = context.tracing().last_calls(context.model, every) if stop else None
    keep = context.differentiable
    notes = _row_notes(context, layers)
    with capture(
        context.model, every, gradient=gradient or keep, differentiable=keep, last_calls=last_calls,
        neighbors=any(question.study for question in questions),
    ) as run:  # fmt: skip
        answers, lost = _answers(context, run, questions, notes, stop=stop, backward=backward)
        layouts = {layer: _layout(run, layer, context) for layer in run.activations if layer in layers}
        maps = {
            at: channels_first(A if keep else A.detach(), layouts[at])
            for at, A in run.activations.items()
            if at in layouts
        }
        notes += [_reused(layer, run.calls[layer]) for layer in layers if run.calls[layer] > 1 and "#" not in layer]
        every_passed = []
        for question, (verdict, G, remarks, begun) in zip(questions, answers, strict=True):
            own = [*notes, *(verdict.notes if verdict else ()), *remarks]
            studied = question.study(run, G, own) if question.study else {}
            passed = PassResult(
                verdict.detached() if verdict else None,  # the graph ends with the pass
                dict(maps),
                {at: channels_first(G[at], layout) for at, layout in layouts.items() if at in G},
                {at: run.between(at, verdict.score) for at in layouts} if verdict and paths else {},
                lost,
                own,
                begun,
                studied={what: _laid_out(tensors, layouts) for what, tensors in studied.items()},
            )
            every_passed.append(passed)
        return every_passed


def _row_notes(context: Context, layers: Sequence[str]) -> list[str]:
    """What is to be said of layers whose rows are not about the images one by one.

    Raises:
        LayerError: for layers that have the images in another order.
    """
    asked = [layer for layer in layers if layer != INPUT]
    if len(context.x) < 2 or not asked or context.mode:
        return []
    try:
        structure = context.tracing()
    except ModelError:  # it may run all the same
        return []
    if not structure.along_images:
        return []
    orders = row_orders(context.model, context.x, context.arguments, asked, structure.orders)
    if moved := [layer for layer in asked if orders[layer] == "others"]:
        raise LayerError(
            f"the rows of {', '.join(moved)} are in another order than the images and cannot be assigned to them: "
            "explain one image at a time, or at layer='input'"
        )
    mixed = any(orders[layer] == "all" for layer in asked)
    return ["the output for an image also depends on the other images in the batch"] if mixed else []


def _laid_out(tensors: Mapping[str, Tensor], layouts: Mapping[str, Layout]) -> dict[str, Tensor]:
    return {at: channels_first(value, layouts[at]) if value.ndim == 4 else value for at, value in tensors.items()}


def outcome_of(context: Context, decision: Target, run: ForwardRun, output: Any) -> ModelOutput:
    """What a decision may look at: maps are channels first."""
    seen = dict(run.activations)
    if context.x.ndim == 4:
        structure, image = (context.tracing(), context.x.shape[2:]) if decision.layers else (None, ())
        for layer in decision.layers:
            assert structure is not None
            seen[layer] = structure.channels_first(layer, seen[layer], image)
    # A graph that begins at the input is a whole one itself.
    traced = None if [*run.activations] == [INPUT] and not context.mode else context.embedding
    return context.outcome(output, seen, traced)


class LayerAnswer(NamedTuple):
    """A verdict, the cotangents of its score, and what the rules have to say of the way back."""

    verdict: TargetScore | None
    cotangents: dict[str, Tensor]
    remarks: Sequence[str] = ()
    begun: Tensor | None = None


def _answers(
    context: Context,
    run: ForwardRun,
    questions: Sequence[BackwardTarget],
    notes: list[str],
    *,
    stop: bool,
    backward: bool,
) -> tuple[list[LayerAnswer], Tensor | None]:
    """One forward and a backward a question; and what the rules' biases took.

    Where the model's own forward turns gradients off, it runs once more with them on.
    """
    for through_no_grad in (False, True):
        modes = [question.rules.mode() if question.rules else None for question in questions]
        mode = modes[0]
        assert len(modes) == 1 or not any(modes), "one forward pass uses one set of rules"
        output = run.forward(
            context.x, context.arguments, stop=stop, through_no_grad=through_no_grad, mode=_under(context, mode)
        )
        try:
            answers = [
                _answer(context, run, question, output, mode, backward=backward, again=again)
                for question, again in _with_need(questions)
            ]
        except LayerError:
            if through_no_grad:
                raise
            continue
        if through_no_grad:
            notes.append("the model's forward turns gradients off inside; they were kept on for this explanation")
        break
    return answers, mode.lost(len(context.x)) if mode else None


def _with_need(questions: Sequence[BackwardTarget]) -> Iterator[tuple[BackwardTarget, bool]]:
    """Each question, and whether the graph is needed after it."""
    studied = any(question.study for question in questions)
    for number, question in enumerate(questions, 1):
        yield question, studied or number < len(questions)


def _answer(
    context: Context,
    run: ForwardRun,
    question: BackwardTarget,
    output: Any,
    mode: RulesMode | None,
    *,
    backward: bool,
    again: bool,
) -> LayerAnswer:
    rules = question.rules
    if question.decision is None:
        return LayerAnswer(None, {})
    outcome = outcome_of(context, question.decision, run, output)
    outcome = replace(outcome, traced=context.embedding) if mode else outcome  # rules change the graph
    verdict = question.decision.decide(outcome)
    _check(verdict, len(context.x))
    if not backward:
        return LayerAnswer(verdict, {})
    if mode and not verdict.score.requires_grad and (why := mode.blocked()):
        raise MethodError(why)
    ends = _ends(question.decision, outcome) if mode else []
    remarks = mode.notes(ends, list(run.origins.values())) if mode else []
    try:
        start = rules.start(verdict) if rules else verdict.score
        begun = _begun(start, ends) if mode and mode.counts else None
        return LayerAnswer(verdict, run.gradients(start, keep_graph=again, linear=rules is None), remarks, begun)
    except CheckpointingError as error:
        if rules is None:
            raise
        raise MethodError(str(error)) from error


def _begun(start: Tensor, ends: Sequence[Tensor]) -> Tensor:
    """(n, 2), Σ y ⊙ ∂start/∂y over what the decision is read from, and Σ |y ⊙ ∂start/∂y|."""
    if not start.requires_grad or not ends:
        return torch.stack([start.detach(), start.detach().abs()], 1)
    gradients = torch.autograd.grad(start.sum(), ends, retain_graph=True, allow_unused=True)
    parts = [(y * G).detach().reshape(len(start), -1) for y, G in zip(ends, gradients, strict=True) if G is not None]
    every = torch.cat(parts, 1)
    return torch.stack([every.sum(1), every.abs().sum(1)], 1)


def _ends(decision: Target, outcome: ModelOutput) -> list[Tensor]:
    """What a decision is read from, as far as a graph leads there."""
    read = [outcome.activations[layer] for layer in decision.layers]
    read = read or [*tree_leaves(outcome.output), *tensor_parts(outcome.output).values()]
    tensors = {id(tensor): tensor for tensor in read if isinstance(tensor, Tensor) and tensor.requires_grad}
    return list(tensors.values())


@contextmanager
def _under(context: Context, rules: AbstractContextManager[Any] | None) -> Iterator[None]:
    """The rules see what the context's own mode makes of each operation."""
    with rules or nullcontext(), context.mode() if context.mode else nullcontext():
        yield


def _check(verdict: TargetScore, n: int) -> None:
    verdict.check_length(n)
    score = verdict.score.detach()
    finite = torch.isfinite(score)
    if not bool(finite.all()):
        worst = int((~finite).nonzero()[0])
        raise TargetError(
            f"the score of {verdict.label[worst]} is {float(score[worst])}: nothing can be explained; "
            "check the input's scale and the model's weights"
        )


def _layout(run: ForwardRun, layer: str, context: Context) -> Layout:
    A, x = run.activations[layer], context.x
    if layer == INPUT or (x.ndim != 4 and A.ndim == 4):
        return "nchw"
    module = Address.parse(layer).module
    known = context.tracing().layout(layer, A.shape, x.shape[2:])
    if known and A.is_floating_point():
        return known
    nearest = context.tracing().nearest_spatial(module)
    hint = f"the nearest feature map is {nearest!r}" if nearest else "choose a layer that keeps (n, c, h, w)"
    raise LayerError(f"layer {layer!r} gives {tuple(A.shape)}, which is not a feature map (n, c, h, w): {hint}")


def _reused(layer: str, calls: int) -> str:
    return f"{layer} runs {calls} times in one forward pass; this is the last call ({layer}#{calls - 1})"


class Rules(Protocol):
    """What the backward pass starts from, and does where it does not follow the derivative.

    Hashable: equal rules share a pass.
    """

    def mode(self) -> RulesMode | None:
        """In which one forward runs, so that its backward follows the rules; None where only its start differs."""
        ...

    def start(self, verdict: TargetScore) -> Tensor:
        """(n,), what the backward starts from; the score mostly."""
        ...

    def account(self, passed: PassResult, measured: dict[str, Any], cautions: list[str]) -> None:
        """What a reader should know of how the rules held."""
        ...

    def missing(self, passed: PassResult) -> Tensor | None:
        """(n,), what neither arrived at the first layer nor was counted as lost; None where rules do not count."""
        ...

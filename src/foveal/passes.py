"""One forward and, where wanted, one backward: the decision, the activations and their cotangents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from foveal.decisions import Decision, Outcome, Verdict
from foveal.engine.address import Address
from foveal.engine.arguments import Arguments
from foveal.engine.capture import Run, capture
from foveal.engine.checkpoints import CheckpointingError
from foveal.engine.layout import Layout, channels_first, find_layout
from foveal.engine.stages import Structure, describe
from foveal.errors import LayerError, MethodError, TargetError

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.resume import Recording
    from foveal.engine.rules import Rules

Tracing: TypeAlias = Callable[[], Structure]
Study: TypeAlias = "Callable[[Run, Mapping[str, Tensor], list[str]], dict[str, dict[str, Tensor]]]"
"""What else is to be found out while the graph is there: (run, cotangents, notes) -> what -> layer -> (n, …)."""


@dataclass(frozen=True)
class Scene:
    """What every pass of one question shares.

    Attributes:
        model: the network, unchanged by anything done here.
        x: the images.
        decision: what is asked of it; None where a method looks at no decision.
        labels: class names, if known.
        arguments: what the network takes beside the images.
        differentiable: maps are to stay attached to the input and the weights.
        under: makes the mode in which every forward runs, such as one at a finer resolution; None for none.
        tracing: gives the network's structure, traced when first asked for.
    """

    model: nn.Module
    x: Float[Tensor, "n c h w"]
    decision: Decision | None
    labels: Sequence[str] | None = None
    arguments: Arguments = field(default_factory=Arguments)
    differentiable: bool = False
    under: Callable[[], AbstractContextManager[Any]] | None = None
    tracing: Tracing = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracing", partial(describe, self.model, self.x, self.arguments))


@dataclass
class Passed:
    """What one pass showed.

    Attributes:
        verdict: the decision; None without one.
        activations: layer -> (n, c, h, w), channels first whatever the network's own layout.
        cotangents: the same of d score / d activation, or what the rules made of it; empty without a backward.
        between: layer -> names of the operations between it and the score.
        lost: (n,) what biases and stabilisers took on the way back, where rules count it.
        notes: what a reader must know of the pass.
        recording: of what came before the layer, for methods that go on from there.
        studied: what a `Study` found: what -> layer -> (n, …).
    """

    verdict: Verdict | None
    activations: dict[str, Tensor]
    cotangents: dict[str, Tensor]
    between: Mapping[str, frozenset[str]]
    lost: Tensor | None
    notes: list[str]
    recording: Recording | None = None
    studied: dict[str, dict[str, Tensor]] = field(default_factory=dict)


def run_through(
    scene: Scene,
    layers: Sequence[str],
    *,
    gradient: bool,
    backward: bool,
    rules: Rules | None = None,
    paths: bool = False,
    study: Study | None = None,
) -> Passed:
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
    asked = scene.decision.layers if scene.decision else ()
    stop = scene.decision is None or bool(asked)
    every = [*dict.fromkeys([*layers, *asked])]
    # A forward that stops early must know which call of a reused module is the last.
    last_calls = scene.tracing().last_calls(scene.model, every) if stop else None
    notes: list[str] = []
    keep = scene.differentiable
    with capture(
        scene.model, every, gradient=gradient or keep, differentiable=keep, last_calls=last_calls,
        neighbours=study is not None,
    ) as run:  # fmt: skip
        again = study is not None
        verdict, cotangents, lost = _decide(scene, run, rules, notes, stop=stop, backward=backward, again=again)
        layouts = {layer: _layout(run, layer, scene) for layer in run.activations if layer in layers}
        notes += [_reused(layer, run.calls[layer]) for layer in layers if run.calls[layer] > 1 and "#" not in layer]
        between = {at: run.between(at, verdict.score) for at in layouts} if verdict and paths else {}
        studied = study(run, cotangents, notes) if study else {}
        return Passed(
            verdict.detached() if verdict else None,  # the graph ends with the pass
            {
                at: channels_first(A if keep else A.detach(), layouts[at])
                for at, A in run.activations.items()
                if at in layouts
            },
            {at: channels_first(cotangents[at], layout) for at, layout in layouts.items() if at in cotangents},
            between,
            lost,
            notes,
            studied={what: _laid_out(found, layouts) for what, found in studied.items()},
        )


def _laid_out(found: Mapping[str, Tensor], layouts: Mapping[str, Layout]) -> dict[str, Tensor]:
    return {at: channels_first(value, layouts[at]) if value.ndim == 4 else value for at, value in found.items()}


def outcome_of(scene: Scene, decision: Decision, run: Run, output: Any) -> Outcome:
    """What a decision may look at: maps are channels first."""
    seen = dict(run.activations)
    if scene.x.ndim == 4:
        structure, image = (scene.tracing(), scene.x.shape[2:]) if decision.layers else (None, ())
        for layer in decision.layers:
            assert structure is not None
            seen[layer] = structure.channels_first(layer, seen[layer], image)
    return Outcome(output, seen, scene.labels)


def _decide(
    scene: Scene, run: Run, rules: Rules | None, notes: list[str], *, stop: bool, backward: bool, again: bool
) -> tuple[Verdict | None, dict[str, Tensor], Tensor | None]:
    """The verdict, the cotangents of its score, and what the rules' biases took.

    Where the model's own forward turns gradients off, it runs once more with them on. `again` keeps the graph.
    """
    for through_no_grad in (False, True):
        mode = rules.mode() if rules else None
        under = _under(scene, mode)
        output = run.forward(scene.x, scene.arguments, stop=stop, through_no_grad=through_no_grad, under=under)
        if scene.decision is None:
            return None, {}, None
        verdict = scene.decision.decide(outcome_of(scene, scene.decision, run, output))
        _check(verdict, len(scene.x))
        if not backward:
            return verdict, {}, None
        if mode and not verdict.score.requires_grad and (gate := mode.blocked()):
            raise MethodError(
                f"relevance cannot get past {gate}, through which this network's output comes: explain logits"
            )
        try:
            start = rules.start(verdict, output) if rules else verdict.score
            cotangents = run.gradients(start, keep_graph=again, linear=rules is None)
        except LayerError:
            if through_no_grad:
                raise
            continue
        except CheckpointingError as error:
            if rules is None:
                raise
            raise MethodError(str(error)) from error
        if through_no_grad:
            notes.append("the model's forward turns gradients off inside; they were kept on for this explanation")
        break
    return verdict, cotangents, mode.lost(len(scene.x)) if mode else None


@contextmanager
def _under(scene: Scene, rules: AbstractContextManager[Any] | None) -> Iterator[None]:
    """The rules see what the scene's own mode makes of each operation."""
    with rules or nullcontext(), scene.under() if scene.under else nullcontext():
        yield


def _check(verdict: Verdict, n: int) -> None:
    verdict.check_length(n)
    score = verdict.score.detach()
    finite = torch.isfinite(score)
    if not bool(finite.all()):
        worst = int((~finite).nonzero()[0])
        raise TargetError(
            f"the score of {verdict.words[worst]} is {float(score[worst])}: nothing can be explained; "
            "check the input's scale and the model's weights"
        )


def _layout(run: Run, layer: str, scene: Scene) -> Layout:
    A, x = run.activations[layer], scene.x
    if x.ndim != 4 and A.ndim == 4:
        return "nchw"
    module = Address.parse(layer).module
    known = find_layout(A.shape, x.shape[2:]) or scene.tracing().layouts.get(module)
    if known and A.is_floating_point():
        return known
    nearest = scene.tracing().nearest_spatial(module)
    hint = f"the nearest feature map is {nearest!r}" if nearest else "choose a layer that keeps (n, c, h, w)"
    raise LayerError(f"layer {layer!r} gives {tuple(A.shape)}, which is not a feature map (n, c, h, w): {hint}")


def _reused(layer: str, calls: int) -> str:
    return f"{layer} runs {calls} times in one forward; this is the last call ({layer}#{calls - 1})"

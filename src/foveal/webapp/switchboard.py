"""Channels of a layer switched off or scaled, in a network that goes on from that layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor

from foveal.attribution.forwards import cut_at, runs_for
from foveal.attribution.passes import forward_backward
from foveal.attribution.perturbation import PerturbationScorer
from foveal.attribution.placing import whereabouts
from foveal.engine.address import INPUT
from foveal.engine.guard import untouched
from foveal.engine.layout import channels_first
from foveal.engine.resume import Resumption
from foveal.errors import LayerError
from foveal.report.answers.wire import Wire
from foveal.targets.heads import read_head
from foveal.webapp.questions import NO_CLASSES, HighestClasses, Question
from foveal.webapp.shapes import Run

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.context import Context
    from foveal.attribution.passes import PassResult
    from foveal.engine.layout import Layout
    from foveal.targets import ModelOutput

Channel = Annotated[int, Field(ge=0, le=2**20)]


class Switch(Wire):
    """Channels of a layer, and what they are multiplied by.

    Attributes:
        layer: where.
        channels: which; all of them where none is named.
        runs: (row, first column, last column) of the positions of the layer's upright map; None is everywhere.
        factor: 0 switches off.
    """

    layer: str = Field(max_length=300)
    channels: list[Channel] = Field(default=[], max_length=4096)
    runs: list[Run] | None = Field(default=None, max_length=4096)
    factor: float = Field(default=0, ge=0, le=2)

    def factors(self, A: Float[Tensor, "1 c h w"], *, turned: bool = False) -> Float[Tensor, "1 c h w"]:
        """What each neuron is multiplied by.

        Args:
            turned: the layer has the photo's columns as rows.

        Raises:
            LayerError: for channels and positions that the layer does not have.
        """
        _, c, h, w = A.shape
        h, w = (w, h) if turned else (h, w)
        if self.channels and max(self.channels) >= c:
            raise LayerError(f"{self.layer} has no channel {max(self.channels)}: it has {c}, counted from 0")
        if any(row >= h or last >= w for row, _, last in self.runs or ()):
            raise LayerError(f"{self.layer} does not have these positions: it has {h} × {w}")
        off = torch.zeros(h, w, dtype=torch.bool) if self.runs is not None else torch.ones(h, w, dtype=torch.bool)
        for row, first, last in self.runs or ():
            off[row, first : last + 1] = True
        off = off.T if turned else off
        chosen = torch.zeros(c, dtype=torch.bool)
        chosen[self.channels or slice(None)] = True
        switched = (chosen[:, None, None] & off).to(A.device)
        return torch.where(switched, self.factor, 1.0).to(A)[None]


@dataclass(eq=False)
class Switchboard:
    """One layer under one decision, ready to be gone on from.

    Attributes:
        question: the decision.
        layer: where.
        passed: its activations, and the gradient of the score.
    """

    question: Question
    layer: str
    passed: PassResult
    _resumption: Resumption | None = None
    _probe: PerturbationScorer | None = None
    _seen: list[HighestClasses] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Of the photo as it is."""
        assert self.passed.verdict is not None
        return float(self.passed.verdict.score[0])

    @property
    def resumes(self) -> bool:
        """Whether the network goes on from the layer, instead of running from its input."""
        return self._resumption is not None and self._resumption.refusal is None

    @property
    def A(self) -> Float[Tensor, "1 c h w"]:
        return self.passed.activations[self.layer]

    @cached_property
    def brings(self) -> Float[Tensor, "1 c h w"]:
        """What each neuron brings to the score: activation times gradient."""
        return self.A * self.passed.cotangents[self.layer]

    def factors(self, switch: Switch) -> Float[Tensor, "1 c h w"]:
        """What each neuron is multiplied by."""
        return switch.factors(self.A, turned=self._turned)

    @cached_property
    def _turned(self) -> bool:
        return is_turned(self.question.context, self.layer, self.A)

    def answered(self, copy: Float[Tensor, "1 c h w"]) -> tuple[float, HighestClasses]:
        """The score, and those of all classes, where the layer gives this instead of A."""
        with self._open() as resume:
            self._seen.clear()
            score = float(resume(self._as_returned(copy, resume))[0])
            return score, self._seen[-1] if self._seen else NO_CLASSES

    @contextmanager
    def _open(self) -> Iterator[Resumption]:
        context = self.question.context
        with untouched(context.model), runs_for(context, self.passed) as runs, torch.no_grad():
            self._probe = PerturbationScorer(context, self.passed, 0, self.layer, lambda done, total: None, runs)
            if self._resumption is None:
                cut = cut_at(context, self.layer)
                self._resumption = Resumption(cut, self._ask, self._probe.x, self._probe.score)
            yield self._resumption

    def _ask(self, x: Float[Tensor, "k c h w"]) -> Float[Tensor, " k"]:
        assert self._probe is not None
        question = self.question

        def score(outcome: ModelOutput) -> Tensor:
            if question.ending is not None and not decision.layers:
                self._seen.append(question.classes(read_head(outcome.output, question.context.task, question.ending)))
            return decision.decide(outcome).score

        assert self.passed.verdict is not None
        decision = self.passed.verdict.per_image[0]
        return self._probe.read(x, score)

    def _as_returned(self, copy: Float[Tensor, "1 c h w"], resume: Resumption) -> Tensor:
        last = layout_of(self.question.context, self.layer, resume.returned) == "nhwc"
        return copy.permute(0, 2, 3, 1).contiguous() if last else copy


def layout_of(context: Context, layer: str, returned: Tensor) -> Layout:
    """Where the channels are in what a layer returned."""
    return context.tracing().layout(layer, returned.shape, context.x.shape[2:]) or "nchw"


@contextmanager
def switched_off(context: Context, switch: Switch) -> Iterator[None]:
    """Every forward in this block runs with the switched channels, so every method explains what is left."""
    cut = cut_at(context, switch.layer)

    def swap(returned: Tensor) -> Tensor:
        layout = layout_of(context, switch.layer, returned)
        A = channels_first(returned, layout)
        altered = A * switch.factors(A.detach(), turned=is_turned(context, switch.layer, A.detach()))
        return altered if layout == "nchw" else altered.permute(0, 2, 3, 1)

    with cut.hooked(swap):
        yield


def is_turned(context: Context, layer: str, A: Float[Tensor, "n c h w"]) -> bool:
    """Whether the layer has the photo's columns as rows."""
    place = whereabouts(context, {layer: A[:, 0]}).where.get(layer)
    return bool(place and place.turned)


def switchboard_of(question: Question, layer: str) -> Switchboard:
    """One forward and one backward pass to the layer.

    Raises:
        LayerError: for the input, and for layers without a map.
    """
    if layer == INPUT:
        raise LayerError("the photo itself has no channels to switch off: choose a stage of the network")
    passed = forward_backward(question.context, [layer], gradient=True, backward=True)
    return Switchboard(question, layer, passed)

"""The forward passes in which altered copies of an image are asked about, and the one that they go on from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foveal.engine.address import is_input
from foveal.engine.capture import ForwardRun, capture
from foveal.engine.guard import unwrap
from foveal.engine.inference import InferenceForward
from foveal.engine.resume import Cut, Recording

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.attribution.passes import PassResult


@dataclass(frozen=True)
class Forwards:
    """The forward passes of a block.

    Attributes:
        to_layers: those that end at the last of the layers that the decision is read from: without gradients, and with;
            none where it is read from the output.
        inference: of copies by the dozen.
    """

    to_layers: Mapping[bool, ForwardRun]
    inference: InferenceForward


@contextmanager
def runs_for(context: Context, passed: PassResult) -> Iterator[Forwards]:
    """The forward passes in which altered copies are asked about."""
    layers = passed.verdict.per_image[0].layers if passed.verdict and passed.verdict.per_image else ()
    with ExitStack() as block:
        last_calls = context.tracing().last_calls(context.model, layers) if layers else {}
        to_layers = {
            gradient: block.enter_context(
                capture(context.model, layers, gradient=gradient, differentiable=gradient, last_calls=last_calls)
            )
            for gradient in ((False, True) if layers else ())
        }
        yield Forwards(to_layers, InferenceForward(unwrap(context.model)))


def cut_at(context: Context, layer: str) -> Cut:
    """Where a network is gone on with; of a module that runs several times, the last call counts."""
    model = unwrap(context.model)
    return Cut(model, layer, context.tracing().last_calls(model, [layer])[layer])


@contextmanager
def recorded(context: Context, layers: Sequence[str]) -> Iterator[Recording | None]:
    """A recording of the forward in this block where one can serve: up to one layer, for a score of the output."""
    if (
        len(layers) != 1
        or is_input(unwrap(context.model), layers[0])
        or context.target is None
        or context.target.layers
    ):
        yield None
        return
    recording = Recording(cut_at(context, layers[0]), len(context.x))
    with recording.running():
        yield recording

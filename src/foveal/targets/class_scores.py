"""The class scores of pictures, without gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal.engine.arguments import Arguments
from foveal.engine.capture import capture
from foveal.engine.forward import Given, output_of
from foveal.engine.guard import untouched, unwrap
from foveal.engine.stages import describe
from foveal.errors import ModelError
from foveal.targets.heads import Ending, Head, read_head

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.task import Task


def ending_of(
    module: nn.Module, task: Task | None, x: Float[Tensor, "n c h w"], arguments: Arguments | None = None
) -> Ending:
    """How the network's output ends, read off the graph of the first picture's forward."""
    model, first = unwrap(module), (arguments or Arguments(len(x))).row(0)
    with capture(model, [describe(model, x, arguments).late]) as run:
        return read_head(run.forward(x[:1], first), task).ending


def class_head(
    module: nn.Module,
    task: Task | None,
    x: Float[Tensor, "n c h w"],
    ending: Ending,
    arguments: Arguments | None = None,
) -> Head:
    """What the network says of each picture, without gradients; it is left as it was.

    Args:
        ending: see `ending_of`; without gradients there is no graph to read it off.

    Raises:
        ModelError, TargetError: when it does not run on these, or gives no scores, one row a picture.
    """
    model, beside = unwrap(module), arguments or Arguments(len(x))

    def given() -> Given:
        return beside.bind(x.detach().clone(), lambda tensor: tensor.detach().clone())

    with untouched(model), torch.no_grad():
        head = read_head(output_of(model, given, gradient=False), task, ending)
    if len(head.scores) != len(x):
        raise ModelError(f"asked about {len(x)} pictures, {type(model).__name__} gave {len(head.scores)} answers")
    return head


def class_scores(output: Any) -> Float[Tensor, "n k"]:
    """The scores that decide, as the network returned them. Raises TargetError where there are none."""
    return read_head(output).scores

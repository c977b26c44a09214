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
from foveal.errors import ModelError, counted
from foveal.targets.heads import Ending, Head, read_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from foveal.engine.task import Task


def first_head(
    module: nn.Module,
    task: Task | None,
    x: Float[Tensor, "n c h w"],
    arguments: Arguments | None = None,
    labels: Sequence[str] | None = None,
) -> Head:
    """What the network says of the first image, from a forward pass whose graph tells how its output ends.

    Raises:
        TargetError: where it is certainly an embedding, and where there are more or fewer labels than outputs.
    """
    model, first = unwrap(module), (arguments or Arguments(len(x))).row(0)
    structure = describe(model, x, arguments)
    with capture(model, [structure.late]) as run:
        head = read_head(run.forward(x[:1], first), task, None, labels, lambda: structure.embedding)
    head.names(labels)
    head.check_predicts()
    return head


def class_head(
    module: nn.Module,
    task: Task | None,
    x: Float[Tensor, "n c h w"],
    ending: Ending,
    arguments: Arguments | None = None,
) -> Head:
    """What the network says of each picture, without gradients; it is left as it was.

    Args:
        ending: that of `first_head`; without gradients there is no graph to read it off.

    Raises:
        ModelError, TargetError: when it does not run on these, or gives no scores, one row a picture.
    """
    model, beside = unwrap(module), arguments or Arguments(len(x))

    def given() -> Given:
        return beside.bind(x.detach().clone(), lambda tensor: tensor.detach().clone())

    with untouched(model), torch.no_grad():
        head = read_head(output_of(model, given, gradient=False), task, ending)
    if len(head.scores) != len(x):
        raise ModelError(f"for {len(x)} images, {type(model).__name__} returned {counted(len(head.scores), 'score')}")
    return head


def class_scores(output: Any) -> Float[Tensor, "n k"]:
    """The scores that decide, as the network returned them. Raises TargetError where there are none."""
    return read_head(output).scores

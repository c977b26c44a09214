"""Activation checkpointing inside a model: what the explanation can and cannot see through.

The non-reentrant kind (`use_reentrant=False`) runs parts of the forward again during the backward, which works as
long as the same graph comes out. The reentrant kind hides everything inside it from `torch.autograd.grad`.
"""

from __future__ import annotations

import sys

from torch import nn
from torch.utils.checkpoint import CheckpointFunction

from foveal.errors import ModelError

_REMEDY = (
    "switch checkpointing off for the explanation, or set use_reentrant=False if the method follows plain gradients"
)


class CheckpointingError(ModelError):
    """Activation checkpointing prevents the explanation."""


def reentrant() -> bool:
    """Whether this is called from inside reentrant checkpointing."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code is not CheckpointFunction.forward.__code__:
        frame = frame.f_back
    return frame.f_back is not None


def hidden(model: nn.Module, layer: str) -> CheckpointingError:
    """What to say of a layer inside it."""
    return CheckpointingError(
        f"layer {layer!r} lies inside reentrant checkpointing (torch.utils.checkpoint with use_reentrant=True) of this "
        f"{type(model).__name__}, where autograd cannot be observed: {_REMEDY}"
    )


def stopped(model: nn.Module) -> CheckpointingError:
    """What to say of a backward that could not get through it."""
    return CheckpointingError(
        f"the backward pass of this {type(model).__name__} stopped at activation checkpointing "
        f"(torch.utils.checkpoint): {_REMEDY}"
    )

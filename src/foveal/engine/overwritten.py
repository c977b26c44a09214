"""Networks that overwrite in place what their own backward pass would need.

Such a network cannot be trained, but be used: `e /= e.norm()`, say. torch can keep what is overwritten, at a price, so
it is asked to only where the plain way has failed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

import torch
from torch.autograd.graph import allow_mutation_on_saved_tensors

from foveal.errors import ModelError

T = TypeVar("T")


def kept_if_overwritten(run: Callable[[], T]) -> T:
    """`run()`, forwards and backward passes; once more, if an operation in place spoilt one of these."""
    try:
        return run()
    except (ModelError, RuntimeError) as error:
        if "modified by an inplace operation" not in str(error):
            raise
    token = _COPYING.set(True)
    try:
        with allow_mutation_on_saved_tensors():
            return run()
    finally:
        _COPYING.reset(token)


def handed_over() -> bool:
    """Whether what operations keep for the backward pass is given to somebody.

    Such as checkpointing, which lets go of it and computes it again, and expects the same operations.
    """
    return torch._C._autograd._top_saved_tensors_default_hooks(True) is not None


def copies() -> bool:
    """Whether torch copies right now what an operation in place is going to overwrite."""
    return _COPYING.get()


_COPYING: ContextVar[bool] = ContextVar("copies of what is overwritten", default=False)

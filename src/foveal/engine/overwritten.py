"""Networks that overwrite in place what their own backward pass would need.

Such a network cannot be trained, but be used: `e /= e.norm()`, say. torch can keep what is overwritten, at a price, so
it is asked to only where the plain way has failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch.autograd.graph import allow_mutation_on_saved_tensors

from foveal.errors import ModelError

T = TypeVar("T")


def kept_if_overwritten(run: Callable[[], T]) -> T:
    """`run()`, forwards and backward passes; once more, if an operation in place spoilt one of these."""
    try:
        return run()
    except ModelError as error:
        if "modified by an inplace operation" not in str(error):
            raise
    with allow_mutation_on_saved_tensors():
        return run()

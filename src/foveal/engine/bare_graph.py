"""A graph that is only to be looked at: its operations, without the tensors that a backward pass would need.

Autograd keeps nearly everything that a forward computes. Of a graph that nobody follows back that memory is for
nothing, and to get it from the system takes longer than what is written into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from foveal.errors import ModelError

T = TypeVar("T")

SMALL = 2**14
"""Numbers in a list of indices that is kept all the same: where a layer picks images, they are looked at."""


class BareGraph(saved_tensors_hooks):
    """While active, nothing but weights and lists of indices is kept for the backward pass.

    Attributes:
        missed: whether somebody asked for one.
    """

    def __init__(self) -> None:
        super().__init__(self._kept, self._given)
        self.missed = False

    def _kept(self, tensor: Tensor) -> Any:
        indices = not tensor.is_floating_point() and tensor.ndim <= 2 and tensor.numel() <= SMALL
        return tensor if indices or isinstance(tensor, nn.Parameter) else None

    def _given(self, kept: Any) -> Tensor:
        if kept is None:
            self.missed = True
            raise RuntimeError("this graph has not kept the tensors for a backward pass")
        tensor: Tensor = kept
        return tensor


def in_bare_graph(trace: Callable[[], T]) -> T:
    """`trace()` in such a graph; once more in a whole one where the forward follows its own graph back.

    Functions of `torch.func`, too, refuse to run in it.
    """
    bare = BareGraph()
    try:
        with bare:
            traced = trace()
    except Exception as error:
        refused = isinstance(error, ModelError) and "saved tensor" in str(error)
        if not (bare.missed or refused):
            raise
    else:
        if not bare.missed:
            return traced
    return trace()

"""A model's forward: its errors in one sentence, and its gradients where it expects some though nobody asked for them.

A home-made network may hook a tensor (`y.register_hook`), keep a gradient (`y.retain_grad()`) or differentiate inside
its own forward. Such a forward fails where gradients are off; it is run again with them on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from foveal.engine.guard import rewind
from foveal.engine.model_errors import model_errors, out_of_memory
from foveal.engine.op_record import Refused
from foveal.errors import ModelError

Given: TypeAlias = "tuple[Sequence[Any], Mapping[str, Any]]"
"""Arguments by place and by name."""

_expecting: WeakSet[nn.Module] = WeakSet()
"""Models whose forward is known to need gradients."""


def output_of(model: nn.Module, given: Callable[[], Given], *, gradient: bool) -> Any:
    """What `model` returns.

    Args:
        given: makes the arguments, anew for each attempt: a forward may write into them.
        gradient: whether a graph is wanted.

    Raises:
        ModelError: when the forward fails, with gradients too; its own error is the cause.
    """
    if gradient or model not in _expecting:
        try:
            return _run(model, given(), gradient=gradient)
        except ModelError as error:
            if gradient or isinstance(error.__cause__, Refused) or out_of_memory(error):
                raise
            failed = error
        try:
            output = _run(model, _attached(given()), gradient=True)
        except ModelError:
            raise failed from failed.__cause__
        _expecting.add(model)
        return _detached(output)
    return _detached(_run(model, _attached(given()), gradient=True))


def _run(model: nn.Module, given: Given, *, gradient: bool) -> Any:
    inputs, keywords = given
    rewind(model)
    with model_errors(model, (*inputs, *keywords.values())), torch.set_grad_enabled(gradient):
        return model(*inputs, **keywords)


def _detached(output: Any) -> Any:
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, output)


def _attached(given: Given) -> Given:
    """The same, as the beginning of a graph."""
    inputs, keywords = given
    return [_leaf(value) for value in inputs], {key: _leaf(value) for key, value in keywords.items()}


def _leaf(value: Any) -> Any:
    def leaf(tensor: Any) -> Any:
        differentiable = isinstance(tensor, Tensor) and tensor.is_floating_point() and not tensor.requires_grad
        # A view, because a forward may write into what it is given, which a leaf does not allow.
        return tensor.detach().requires_grad_().view_as(tensor) if differentiable else tensor

    with torch.enable_grad():
        return tree_map(leaf, value)

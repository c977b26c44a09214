"""Taking a tensor out of a running forward, in a way that nothing further down can disturb."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge


class Tap(NamedTuple):
    """What is kept of a layer, where its gradient arrives, and what the network goes on with."""

    kept: Tensor
    origin: Tensor | GradientEdge
    onward: Tensor


def tap(tensor: Tensor, *, gradient: bool, in_place: bool = False, last: bool = False) -> Tap:
    """A `Tap` of what a layer returned.

    Args:
        gradient: whether a graph is recorded. It begins at the first tensor without history, which becomes a leaf.
        in_place: the layer gave back its own input.
        last: the forward ends here, so that nothing can overwrite what is kept.
    """
    with torch.set_grad_enabled(gradient):
        if last:
            kept = tensor.detach().requires_grad_() if _cut(tensor, gradient=gradient) else tensor
            return Tap(kept, kept, kept)
        if in_place and (tapped := _in_place(tensor, gradient=gradient)):
            return tapped
        kept = tensor.detach().requires_grad_() if _cut(tensor, gradient=gradient) else tensor
        # What goes on is a copy, so an in-place operation further down cannot overwrite what was kept.
        return Tap(kept, kept, kept.clone())


def _in_place(tensor: Tensor, *, gradient: bool) -> Tap | None:
    """Whoever holds a tensor that a module gave back must go on with it.

    A copy in its place would be unknown to a skip connection that reads the tensor again.
    """
    if not _cut(tensor, gradient=gradient):
        return Tap(tensor.clone(), get_gradient_edge(tensor) if tensor.requires_grad else tensor, tensor)
    leaf = tensor.detach().clone().requires_grad_()
    try:
        tensor.copy_(leaf)  # the same object, now with a history that begins at the leaf
    except RuntimeError:  # a view that autograd refuses to give a history
        return None
    return Tap(leaf, leaf, tensor)


def like(old: Tensor, new: Tensor) -> Tensor:
    """`new` in the place of `old`: the beginning of a graph where the forward records one that leads through `old`."""
    if not (torch.is_grad_enabled() and old.requires_grad and not new.requires_grad and new.is_floating_point()):
        return new
    return new.detach().clone().requires_grad_().view_as(new)


def _cut(tensor: Tensor, *, gradient: bool) -> bool:
    """Whether the graph begins here."""
    return gradient and not tensor.requires_grad and tensor.is_floating_point()

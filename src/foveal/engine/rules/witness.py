"""Which nodes of autograd's graph come from operations that a mode has met, and which from others.

A function mode does not meet everything: a `torch.autograd.Function` of the network's own, TorchScript and the like go
past it, and leave nodes of their own in the graph. Nothing that is on the way back escapes the graph, so what was not
met is found there, however it is spelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from torch import Tensor
from torch.autograd.graph import GradientEdge

from foveal.engine.graph import node_name, nodes_between
from foveal.engine.rules.nested import tensors_in

Origin: TypeAlias = "Tensor | GradientEdge"

MOVING = frozenset(
    {"AccumulateGrad", "Alias", "AsStrided", "Clone", "CopyBackwards", "CopySlices", "Expand", "Permute", "Select"}
    | {"ReshapeAlias", "Slice", "Squeeze", "T", "Transpose", "ToCopy", "UnsafeView", "Unsqueeze", "View"}
)
"""Nodes that put numbers in another place; autograd also makes them by itself, for views of what was written into."""


def nodes_of(tensors: Iterable[Tensor]) -> set[Any]:
    """The nodes that gave these tensors, of those that have one."""
    nodes = {tensor.grad_fn for tensor in tensors}
    nodes.discard(None)
    return nodes


class Witness:
    """Collects the nodes of the operations that were met."""

    def __init__(self) -> None:
        self._met: set[Any] = set()

    def saw(self, below: set[Any], result: Any, args: Any) -> None:
        """An operation that begins at the nodes `below` gave this result, or wrote into its first argument."""
        stack = list(nodes_of(tensors_in((result,)) or tensors_in(args[:1])))
        while stack:
            node = stack.pop()
            if node not in self._met and node not in below:
                self._met.add(node)
                stack += [parent for parent, _ in node.next_functions if parent is not None]

    def unmet(self, ends: Sequence[Tensor], origins: Sequence[Origin]) -> list[str]:
        """Names of operations on the way from the origins to the ends that went past the mode, each once."""
        names = (node_name(node) for node in nodes_between(origins, ends) if node not in self._met)
        return [name for name in dict.fromkeys(names) if name not in MOVING]

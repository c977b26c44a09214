"""The graph that autograd records: what lies on the way between two of its nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge
from torch.overrides import TorchFunctionMode


class KeepGraph(TorchFunctionMode):
    """Leaves gradients on where a model's own forward turns them off (frozen backbones under `no_grad`)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch._C._set_grad_enabled:
            return None
        return func(*args, **(kwargs or {}))


def operations_between(origin: Tensor | GradientEdge, score: Tensor) -> frozenset[str]:
    """Names of the operations on the ways from `origin` to the score (autograd's, without "Backward0")."""
    first = origin.grad_fn if isinstance(origin, Tensor) else origin.node
    parents, order = _walked([score.grad_fn] if score.grad_fn is not None else [])
    on_the_way: set[Any] = set()
    names = set()
    for node in order:
        if node is first or getattr(node, "variable", None) is origin:
            on_the_way.add(node)
        elif any(parent in on_the_way for parent in parents[node]):
            on_the_way.add(node)
            names.add(type(node).__name__.rstrip("0123456789").removesuffix("Backward"))
    return frozenset(names)


def ancestors(roots: list[Any]) -> set[Any]:
    """Nodes that lie on any path from the roots to the input."""
    return set(_walked(roots)[1])


def bottlenecks(roots: list[Any]) -> set[Any]:
    """Nodes that lie on every path from the roots to the input."""
    parents, order = _walked(roots)
    # Dead ends that are not the input (constants) carry no path.
    below = {node: 1 if not parents[node] else 0 for node in order}
    for node in order:
        below[node] += sum(below[parent] for parent in parents[node])
    above = dict.fromkeys(order, 0)
    for root in roots:
        above[root] += 1
    for node in reversed(order):
        for parent in parents[node]:
            above[parent] += above[node]
    paths = sum(below[root] for root in roots)
    return {node for node in order if above[node] * below[node] == paths}


def _walked(roots: Iterable[Any]) -> tuple[dict[Any, list[Any]], list[Any]]:
    """Every node below the roots with what it was computed from, and all of them, inputs first."""
    parents: dict[Any, list[Any]] = {}
    order: list[Any] = []
    stack: list[tuple[Any, bool]] = [(root, False) for root in roots]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in parents:
            parents[node] = [parent for parent, _ in node.next_functions if parent is not None]
            stack.append((node, True))
            stack.extend((parent, False) for parent in parents[node] if parent not in parents)
    return parents, order

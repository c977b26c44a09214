"""The graph that autograd records: what lies on the way between two of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge
from torch.overrides import TorchFunctionMode

RESHAPING = (
    "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Select", "Slice", "Clone", "Alias", "IndexSelect",
)  # fmt: skip
"""Operations that change a tensor's shape and none of its numbers; the starts of autograd's names."""

P = ParamSpec("P")
T = TypeVar("T")


def recording(function: Callable[P, T]) -> Callable[P, T]:
    """The function with gradients on, whatever its caller has switched off by `no_grad` or `inference_mode`."""

    @wraps(function)
    def recorded(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.inference_mode(False), torch.enable_grad():
            return function(*args, **kwargs)

    return recorded


class KeepGraph(TorchFunctionMode):
    """Leaves gradients on where a model's own forward turns them off (frozen backbones under `no_grad`).

    Attributes:
        hooked: whether the forward hooked the gradient of a tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hooked = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch._C._set_grad_enabled:
            return None
        self.hooked = self.hooked or func is Tensor.register_hook
        return func(*args, **(kwargs or {}))


def operations_between(origin: Tensor | GradientEdge, score: Tensor) -> frozenset[str]:
    """Names of the operations on the ways from `origin` to the score (autograd's, without "Backward0").

    What is linear in one thing only is marked where it is given two: "Mul of two", and "NativeBatchNorm of a batch".
    """
    nodes = nodes_between([origin], [score])
    first = origin.node if isinstance(origin, GradientEdge) else origin.grad_fn
    depending = {*nodes, first} - {None}

    def depends(parent: Any) -> bool:
        return parent in depending or (parent is not None and getattr(parent, "variable", None) is origin)

    return frozenset(_name_by_use(node, depends) for node in nodes)


def _name_by_use(node: Any, depends: Callable[[Any], bool]) -> str:
    name = node_name(node)
    if name in _PRODUCTS and sum(depends(parent) for parent, _ in node.next_functions) > 1:
        return f"{name} of two"
    return f"{name} of a batch" if getattr(node, "_saved_training", False) else name


_PRODUCTS = frozenset({"Mul", "Div", "Mm", "Bmm", "Addmm", "Baddbmm", "Mv", "Addmv", "Dot", "Convolution", "Lerp"})


def nodes_between(origins: Sequence[Tensor | GradientEdge], ends: Sequence[Tensor]) -> list[Any]:
    """The nodes on the ways from the origins to the ends, without those of the origins; the first come first."""
    first = {origin.grad_fn if isinstance(origin, Tensor) else origin.node for origin in origins} - {None}
    leaves = [origin for origin in origins if isinstance(origin, Tensor) and origin.grad_fn is None]
    parents, order = _walked([end.grad_fn for end in ends if end.grad_fn is not None])
    reaching: set[Any] = set()
    between = []
    for node in order:
        above = any(parent in reaching for parent in parents[node])
        if above:
            between.append(node)
        if above or node in first or any(getattr(node, "variable", None) is leaf for leaf in leaves):
            reaching.add(node)
    return between


def node_name(node: Any) -> str:
    """What autograd calls an operation, without "Backward0"."""
    return type(node).__name__.rstrip("0123456789").removesuffix("Backward")


def own_backwards(roots: list[Any]) -> list[str]:
    """Names of the `torch.autograd.Function`s before the roots that are not torch's own, each once."""
    functions = (getattr(node, "_forward_cls", None) for node in _walked([r for r in roots if r is not None])[1])
    foreign = [function for function in functions if function and not function.__module__.startswith("torch.")]
    return list(dict.fromkeys(function.__name__ for function in foreign))


def operation_names(roots: list[Any]) -> tuple[str, ...]:
    """Names of the operations before the roots, inputs first."""
    return tuple([type(node).__name__ for node in _walked([root for root in roots if root is not None])[1]])


def works_along_images(roots: list[Any]) -> bool:
    """Whether an operation before the roots moves, picks or sums along the first axis, that of the images."""
    return any(_along_images(node) for node in _walked([root for root in roots if root is not None])[1])


def _along_images(node: Any) -> bool:
    name = node_name(node)
    if name == "Index":
        return node._saved_indices[0] is not None
    if name == "NativeBatchNorm":
        return bool(node._saved_training)
    dims = getattr(node, "_saved_dims", getattr(node, "_saved_dim", None)) if name in _MOVING else None
    return 0 in (dims if isinstance(dims, tuple) else (dims,))


_MOVING = frozenset(
    {"Roll", "Flip", "Cat", "Stack", "IndexSelect", "Gather", "Sort", "Topk", "Mean", "Sum", "Var", "Std", "Softmax"}
)


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

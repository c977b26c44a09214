"""A forward in which operations leave rules of their own for the backward: nothing of the user's model is replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from foveal.engine.overwritten import copies
from foveal.engine.rules.kept import KeptTensors
from foveal.engine.rules.nested import tensors_in
from foveal.engine.rules.witness import Origin, Witness, nodes_of
from foveal.engine.unwatched import looking, unwatched

Handler: TypeAlias = Callable[..., Any]
"""(func, args, kwargs) -> result, out of place."""


class RulesMode(TorchFunctionMode):
    """Calls `rule(name)` for every operation on tensors that carry a graph; in-place ones keep their meaning.

    Attributes:
        in_place: handlers take in-place operations as they are, unless what they write into is part of a tensor.
        counts: what goes back adds up, with what is lost on the way.
        witness: knows which nodes of the graph come from operations that were met here.
        kept: what handlers read on the way back.
    """

    in_place = False
    counts = False

    def __init__(self) -> None:
        super().__init__()
        self.witness = Witness()
        self.kept = KeptTensors()

    def rule(self, name: str) -> Handler | None:
        """What to do instead of the operation `name`; None to leave it alone."""
        raise NotImplementedError

    def lost(self, n: int) -> Tensor | None:
        """(n,), what did not arrive at any neuron, where that is counted."""
        return None

    def blocked(self) -> str | None:
        """Why nothing goes back at all, where the rules know."""
        return None

    def notes(self, ends: Sequence[Tensor], origins: Sequence[Origin]) -> list[str]:
        """What a reader must know of the way from the origins to the ends, before it is gone back.

        Raises:
            MethodError: when there is an operation on the way that the rules do not cover.
        """
        return []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", None) or str(func)
        with looking():
            tensors = tensors_in((args, kwargs))
            carrying = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
            below = nodes_of(tensors) if carrying else set()
        if not carrying:
            if (written := _written(func, name, args, kwargs)) is not None:
                self.kept.before_writing(name, written)
            return func(*args, **kwargs)
        with self.kept:
            result = self._followed(func, name, args, kwargs, tensors)
        with looking():
            self.witness.saw(below, result, args)
        return result

    def _followed(self, func: Any, name: str, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        """What the operation gives, with its rule for the way back; `tensors` are those among its arguments."""
        handler = self.rule(plain_name(name))
        written = _written(func, name, args, kwargs)
        if written is None:
            self.kept.used(tensors)
            return handler(func, args, kwargs) if handler else func(*args, **kwargs)
        if kwargs.get("out") is not None:
            return func(*args, **kwargs)  # refused by torch, as without rules
        if not args:
            args, kwargs = (written,), {key: value for key, value in kwargs.items() if key != "input"}
        if handler is None or name == "__setitem__" or (self.in_place and not args[0]._is_view()):
            self.kept.before_writing(plain_name(name), written)
            self.kept.used(tensors_in((args[1:], kwargs)))
            return handler(func, args, kwargs) if handler else func(*args, **kwargs)
        self.kept.used(tensors)
        outside = (_before(args[0]), *(False if value is True else value for value in args[1:]))
        result = handler(
            _out_of_place(func, name), outside, {**kwargs, "inplace": False} if "inplace" in kwargs else kwargs
        )
        self.kept.before_writing(plain_name(name), written)
        return _into(args[0], result)


def carries(value: Any) -> bool:
    """Whether a graph leads from here to a layer that is kept."""
    if isinstance(value, Tensor):
        return value.requires_grad
    return isinstance(value, list | tuple) and any(carries(part) for part in value)


def _written(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    """What the operation writes into: of `relu_`, `+=`, `x[i] = y`, `inplace=True` the first argument."""
    if kwargs.get("out") is not None:
        return kwargs["out"]
    if name.startswith("__"):
        writes = name == "__setitem__" or (name.startswith("__i") and plain_name(name) in _SPELLED.values())
    else:
        writes = name.endswith("_") or bool(kwargs.get("inplace")) or _told_by_place(func, args)
    return (args[0] if args else kwargs.get("input")) if writes else None


def _told_by_place(func: Any, args: Any) -> bool:
    """Whether `inplace` is among the arguments given without a name, and true."""
    if not any(value is True for value in args[1:]):
        return False
    place = _place_of_inplace(func)
    return place is not None and len(args) > place and args[place] is True


@cache
def _place_of_inplace(func: Any) -> int | None:
    try:
        names = [*signature(func).parameters]
    except (TypeError, ValueError):  # written in C++, and none of these takes it
        return None
    return names.index("inplace") if "inplace" in names else None


def _out_of_place(func: Any, name: str) -> Any:
    plain = plain_name(name)
    if name == plain:
        return func  # takes `inplace` as an argument
    return getattr(Tensor, plain, None) or getattr(torch.nn.functional, plain)


def _before(tensor: Tensor) -> Any:
    """The tensor as it is now, whatever is written into it; its gradient is the tensor's."""
    if not carries(tensor):
        return tensor
    # `.data` has a version counter of its own, and keeps the memory that `_into` takes away from the tensor.
    return pulled(tensor.data if _takes_new_memory(tensor) else tensor.data.clone(), lambda G: G, tensor)


def _into(tensor: Tensor, result: Tensor) -> Tensor:
    """`tensor`, holding `result` with its graph. What the operations before it remember is not overwritten."""
    if _takes_new_memory(tensor):
        tensor.data = torch.empty_like(tensor)
    return tensor.copy_(result)


def _takes_new_memory(tensor: Tensor) -> bool:
    """Part of a tensor cannot; nor what torch is going to copy, since it would copy what is new."""
    return not tensor._is_view() and not copies()


class Pulled(torch.autograd.Function):
    """`value`, with `pullback(G)` for the gradient of the tensors it was computed from."""

    @staticmethod
    def forward(ctx: Any, value: list[Tensor], pullback: Callable[[Tensor], Any], *sources: Tensor) -> Tensor:
        ctx.pullback = pullback
        return value.pop()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        with unwatched():
            pulled = ctx.pullback(gradients[0])
        return (None, None, *(pulled if isinstance(pulled, tuple) else (pulled,)))


def pulled(value: Tensor, pullback: Callable[[Tensor], Any], *sources: Tensor) -> Tensor:
    """`value` as computed; in the backward the sources get `pullback(G)`, which may not hold what it returns."""
    with unwatched():
        result: Tensor = Pulled.apply([value.detach()], pullback, *sources)
    return result


@cache
def plain_name(name: str) -> str:
    """`__iadd__`, `add_`, `__radd__`, `add.Tensor` are all add."""
    plain = name.partition(".")[0].strip("_")
    return _SPELLED.get(plain, plain)


_SPELLED = {
    "iadd": "add", "radd": "add", "isub": "sub", "subtract": "sub", "rsub": "rsub", "imul": "mul", "rmul": "mul",
    "multiply": "mul", "itruediv": "div", "truediv": "div", "idiv": "div", "divide": "div", "rtruediv": "rdiv",
    "clip": "clamp", "absolute": "abs",
}  # fmt: skip

"""Backward passes that let only what speaks in favor through an activation function."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from foveal.engine.rules.colors import convolved
from foveal.engine.rules.derived import Derived
from foveal.engine.rules.mode import Handler, RulesMode, carries, plain_name, pulled
from foveal.engine.rules.nested import tensors_in
from foveal.engine.rules.operation import CONVOLUTIONS, TRANSPOSED
from foveal.engine.rules.sources import POOLS, Sources
from foveal.engine.rules.vocabulary import CONSERVING
from foveal.engine.rules.witness import Origin
from foveal.engine.unwatched import looking
from foveal.errors import MethodError

RECTIFIERS = frozenset({"relu", "relu6", "clamp_min", "threshold"})
ACTIVATIONS = RECTIFIERS | {
    "hardtanh", "silu", "gelu", "hardswish", "mish", "elu", "selu", "celu", "leaky_relu", "prelu", "rrelu", "softplus",
    "tanh", "hardsigmoid", "sigmoid", "logsigmoid", "softsign", "tanhshrink", "hardshrink", "softshrink", "clamp",
}  # fmt: skip
GATES = frozenset({"sigmoid", "hardsigmoid"})
BOUNDED = frozenset({"clamp", "hardtanh"})
SELECTING = frozenset({"maximum", "fmax", "max", "where", "mul", "masked_fill", "setitem", "index_put"})
"""Operations that may be a ReLU in other words: the larger of x and 0, x where it is above 0, x times whether it is."""

PRODUCTS = frozenset({"div", "rdiv", "matmul", "mm", "bmm", "addmm", "einsum", "baddbmm"})
"""Linear where one operand alone depends on the image."""

WEIGHED = frozenset(
    {"linear", "convolution", "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "grid_sample"}
    | {*CONVOLUTIONS, *TRANSPOSED}
)
"""Layers, linear where their weights, statistics or places do not depend on the image."""

PICKING = frozenset({"getitem", "gather", "take_along_dim", "index_select", "repeat_interleave"})
"""Linear where what is picked does not depend on the image."""

ORDERING = frozenset({"max", "amax", "amin", "topk", "sort"})
"""Poolings where they compare one channel at several places, and activation functions where they compare features."""

COMPARING = frozenset({"gt", "ge", "lt", "le", "sign", "signbit", "heaviside"})

LINEAR = (
    frozenset({"linear", "add", "sub", "rsub", "convolution", *CONVOLUTIONS, *TRANSPOSED})
    | {"batch_norm", "layer_norm", "group_norm", "instance_norm", "normalize", "local_response_norm", "rms_norm"}
    | CONSERVING - SELECTING - ACTIVATIONS
)
"""Operations that activate nothing, and follow the derivative."""


class GuidedMode(RulesMode):
    """One forward whose activation functions go back by the rule."""

    def __init__(self, kind: Literal["guided", "deconvnet"]) -> None:
        super().__init__()
        self._handler = _guided if kind == "guided" else _deconvnet
        self.in_place = kind == "guided"
        self._plain: dict[str, None] = {}
        # Masks and choices, say: what is multiplied with them, or chosen by them, may be a ReLU.
        self._derived = Derived()
        self._sources = Sources()

    def rule(self, name: str) -> Handler | None:
        if name in BOUNDED:
            return partial(self._bounded, name)
        if name in ACTIVATIONS - GATES:
            return self._handler
        if name in SELECTING:
            return partial(self._selected, name)
        if name == "conv2d":
            return convolved
        if name in PRODUCTS:
            return partial(self._product, name)
        if name not in LINEAR and name not in COMPARING:
            self._plain[name] = None
        return None

    def notes(self, ends: Sequence[Tensor], origins: Sequence[Origin]) -> list[str]:
        names = [*self._plain, *self.witness.unmet(ends, origins)]
        if not names:
            return []
        return [f"followed by the derivative, because there is no rule for it: {', '.join(names)}"]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_function__(func, types, args, kwargs)
        with looking():
            self._derived.follow(plain_name(getattr(func, "__name__", "")), args, kwargs or {}, result)
        return result

    def _followed(self, func: Any, name: str, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        plain = plain_name(name)
        with looking():
            self._name(plain, func, args, kwargs, tensors)
            given = self._sources.given(plain, args, kwargs, tensors)
        result = super()._followed(func, name, args, kwargs, tensors)
        with looking():
            self._sources.follow(plain, func, given, args, result)
        return result

    def _name(self, name: str, func: Any, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> None:
        """Names what is linear in other calls, and in this one not."""
        if name in WEIGHED and self._features(tensors) > 1:
            self._plain[f"{name} of two features"] = None
        if name in PICKING and self._features(tensors) > 1:
            self._plain[name] = None
        if (name in ORDERING or name in POOLS) and self._compares(name, func, args, kwargs):
            self._plain[name] = None

    def _features(self, tensors: Sequence[Tensor]) -> int:
        """How many of the arguments depend on features, with a graph or without."""
        return sum(map(self._derived.depends, tensors))

    def _compares(self, name: str, func: Any, args: Any, kwargs: Any) -> bool:
        """Whether a maximum or an ordering compares features, and not places of one."""
        rest = dict(kwargs)
        x = args[0] if args else rest.pop("input", rest.pop("self", None))
        if not isinstance(x, Tensor) or isinstance(_other(args, kwargs), Tensor):
            return False
        if name in POOLS:
            return self._sources.mixes(x, lambda marked: _first(func(marked, *args[1:], **rest)), None)
        dims = _dims(name, x, args, kwargs)
        return bool(dims) and self._sources.mixes(x, lambda marked: marked.amax(dims), dims)

    def _bounded(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """With a bound below, an activation function; with none but from above, or that moves, none that is known."""
        if not args:  # by name alone
            kwargs = dict(kwargs)
            args = (kwargs.pop("input") if "input" in kwargs else kwargs.pop("self"),)
        lower, upper = _bounds(name, args, kwargs)
        moves = any(map(self._derived.depends, (lower, upper)))
        if self._handler is _guided and (moves or _caps(args[0], lower, upper)):
            self._plain[name] = None
            return func(*args, **kwargs)
        return self._handler(func, args, kwargs)

    def _product(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if self._features(tensors_in((args, kwargs))) > 1:
            return self._gated(name, f"{name} of two features", func, args, kwargs)
        return func(*args, **kwargs)

    def _selected(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """What may be a ReLU, where it chooses by features."""
        if name == "max" and not isinstance(_other(args, kwargs), Tensor):
            return func(*args, **kwargs)  # over an axis
        if name in ("maximum", "fmax", "max") or any(value in self._derived for value in tensors_in((args, kwargs))):
            return self._gated(name, name, func, args, kwargs)
        if name == "mul" and self._features(tensors_in((args, kwargs))) > 1:
            self._plain["mul of two features"] = None
        return func(*args, **kwargs)

    def _gated(self, name: str, description: str, func: Any, args: Any, kwargs: Any) -> Any:
        """By the rule where it is a ReLU of the one feature in it; by the derivative, named, where it is not."""
        features = [value for value in tensors_in((args, kwargs)) if carries(value)]
        before = features[0].detach().clone() if len(features) == 1 else None
        result = func(*args, **kwargs)
        changed = result if isinstance(result, Tensor) else args[0]
        if before is None or before.shape != changed.shape or not torch.equal(changed.detach(), before.relu()):
            self._plain[description] = None
            return result
        if self._handler is _deconvnet:
            if not isinstance(result, Tensor):
                raise MethodError(f"deconvnet does not apply to a ReLU written as {name}; use guidedbackprop")
            return pulled(before.relu(), _positive, features[0])
        changed.register_hook(_positive)
        return result


def _other(args: Any, kwargs: Any) -> Any:
    return args[1] if len(args) > 1 else kwargs.get("other")


def _first(result: Any) -> Tensor:
    """The values, without the indices."""
    values: Tensor = result if isinstance(result, Tensor) else result[0]
    return values


def _dims(name: str, x: Tensor, args: Any, kwargs: Any) -> tuple[int, ...]:
    """The axes that are compared along; of those that have more than one number."""
    place = 2 if name == "topk" else 1
    given = args[place] if len(args) > place else kwargs.get("dim", kwargs.get("axis"))
    if given is None or given in ((), []):
        given = -1 if name in ("topk", "sort") else range(x.ndim)
    dims = (given,) if isinstance(given, int) else given
    return tuple(sorted({dim % x.ndim for dim in dims if x.shape[dim] > 1})) if x.ndim else ()


def _bounds(name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """What the first argument is bounded by, from below and from above."""
    usual = {"min": None, "max": None} if name == "clamp" else {"min_val": -1.0, "max_val": 1.0}
    given = usual | dict(zip(usual, args[1:], strict=False)) | {key: kwargs[key] for key in usual if key in kwargs}
    lower, upper = given.values()
    return lower, upper


def _caps(x: Tensor, lower: Any, upper: Any) -> bool:
    """Whether numbers below zero stay as they are, or none above it is left."""
    if upper is None:
        return False
    return bool((torch.as_tensor(upper) <= 0).all()) or (lower is None and bool((x < 0).any()))


def _guided(func: Any, args: Any, kwargs: Any) -> Any:
    result = func(*args, **kwargs)
    result.register_hook(_positive)
    return result


def _deconvnet(func: Any, args: Any, kwargs: Any) -> Any:
    name, before = plain_name(func.__name__), args[0].detach()
    result = func(before, *args[1:], **kwargs)
    bounded = name == "hardtanh" and _lower(*args, **kwargs) == 0  # nn.ReLU6 is that
    if name not in RECTIFIERS and not bounded and not torch.equal(result, before.relu()):
        raise MethodError(
            f"deconvnet does not apply to this network: it is defined for ReLU, and the network uses {name}; "
            "use guidedbackprop"
        )
    return pulled(result, _positive, args[0])


def _lower(input: Tensor, min_val: float = -1.0, *_: Any, **__: Any) -> float:
    return min_val


def _positive(G: Tensor) -> Tensor:
    return G.relu()

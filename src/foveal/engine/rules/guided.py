"""Backward passes that let only what speaks in favour through an activation function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from foveal.engine.rules.mode import Handler, RulesMode, carries, plain_name, pulled
from foveal.engine.rules.operation import CONVOLUTIONS, TRANSPOSED
from foveal.engine.rules.vocabulary import CONSERVING
from foveal.engine.rules.witness import Origin
from foveal.errors import MethodError

if TYPE_CHECKING:
    from foveal.decisions import Verdict
    from foveal.passes import Passed

RECTIFIERS = frozenset({"relu", "relu6", "clamp_min", "threshold"})
ACTIVATIONS = RECTIFIERS | {
    "hardtanh", "silu", "gelu", "hardswish", "mish", "elu", "selu", "celu", "leaky_relu", "prelu", "rrelu", "softplus",
    "tanh", "hardsigmoid", "sigmoid", "logsigmoid", "softsign", "tanhshrink", "hardshrink", "softshrink", "clamp",
}  # fmt: skip
GATES = frozenset({"sigmoid", "hardsigmoid"})
SELECTING = frozenset({"maximum", "fmax", "max", "where", "mul", "masked_fill", "setitem", "index_put"})
"""Operations that may be a ReLU in other words: the larger of x and 0, x where it is above 0, x times whether it is."""

PRODUCTS = frozenset({"div", "rdiv", "matmul", "mm", "bmm", "addmm", "einsum", "baddbmm"})
"""Linear where one operand alone depends on the image."""

COMPARING = frozenset({"gt", "ge", "lt", "le", "sign", "signbit", "heaviside"})

LINEAR = (
    frozenset({"linear", "add", "sub", "rsub", "convolution", *CONVOLUTIONS, *TRANSPOSED})
    | {"batch_norm", "layer_norm", "group_norm", "instance_norm", "normalize", "local_response_norm", "rms_norm"}
    | CONSERVING - SELECTING - ACTIVATIONS
)
"""Operations that activate nothing, and follow the derivative."""


@dataclass(frozen=True)
class Guided:
    """Guided backpropagation and the deconvolutional network.

    At y = ReLU(x), with G arriving at y:  "guided" passes G ⊙ [x > 0] ⊙ [G > 0] (Springenberg et al. 2015),
    "deconvnet" G ⊙ [G > 0] alone (Zeiler & Fergus 2014). For activation functions other than ReLU "guided" is the
    derivative of the positive part of G; "deconvnet" is not defined there. Gates (sigmoids of squeeze-excitation)
    scale and do not activate: they follow the derivative. So does whatever else is not linear and no known activation
    function; the result names it. ReLU is known in all its spellings: as the larger of x and 0, as x where it is above
    0, as a product with whether it is.
    """

    kind: Literal["guided", "deconvnet"]

    def mode(self) -> GuidedMode:
        return GuidedMode(self.kind)

    def start(self, verdict: Verdict) -> Tensor:
        return verdict.score

    def missing(self, passed: Passed) -> None:
        return None

    def account(self, passed: Passed, measured: dict[str, Any], cautions: list[str]) -> None:
        cautions.append("a picture of patterns: much of it does not depend on the decision")


class GuidedMode(RulesMode):
    """One forward whose activation functions go back by the rule."""

    def __init__(self, kind: Literal["guided", "deconvnet"]) -> None:
        super().__init__()
        self._handler = _guided if kind == "guided" else _deconvnet
        self.in_place = kind == "guided"
        self._plain: dict[str, None] = {}
        # Whether x is above something: what is multiplied with it, or chosen by it, may be a ReLU.
        self._conditions: Any = WeakTensorKeyDictionary()

    def rule(self, name: str) -> Handler | None:
        if name in ACTIVATIONS - GATES:
            return self._handler
        if name in SELECTING:
            return partial(self._selected, name)
        if name in PRODUCTS:
            return partial(self._product, name)
        if name not in LINEAR and name not in COMPARING:
            self._plain[name] = None
        return None

    def remarks(self, ends: Sequence[Tensor], origins: Sequence[Origin]) -> list[str]:
        names = [*self._plain, *self.witness.unmet(ends, origins)]
        if not names:
            return []
        return [f"followed by the derivative, as there is no rule for it: {', '.join(names)}"]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_function__(func, types, args, kwargs)
        compares = plain_name(getattr(func, "__name__", "")) in COMPARING and any(map(carries, args))
        if isinstance(result, Tensor) and (compares or self._conditional(args)) and not result.requires_grad:
            self._conditions[result] = True
        return result

    def _conditional(self, values: Any) -> bool:
        """Whether one of these says where something of the image is above something."""
        return bool(self._conditions) and any(isinstance(v, Tensor) and v in self._conditions for v in values)

    def _product(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if sum(map(carries, [*args, *kwargs.values()])) > 1:
            self._plain[f"{name} of two features"] = None
        return func(*args, **kwargs)

    def _selected(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """What may be a ReLU: by the rule where it is one, by the derivative, named, where it chooses otherwise."""
        features = [value for value in args if isinstance(value, Tensor) and carries(value)]
        chosen = name in ("maximum", "fmax", "max") or self._conditional([*args, *kwargs.values(), *_parts(args)])
        before = features[0].detach().clone() if len(features) == 1 and chosen else None
        result = func(*args, **kwargs)
        changed = result if isinstance(result, Tensor) else args[0]
        if name == "max" and not isinstance(result, Tensor):
            return result  # over an axis: a pooling
        if before is not None and before.shape == changed.shape and torch.equal(changed.detach(), before.relu()):
            if self._handler is _deconvnet:
                if not isinstance(result, Tensor):
                    raise MethodError(f"deconvnet does not apply to a ReLU written as {name}; use guidedbackprop")
                return pulled(before.relu(), _positive, features[0])
            changed.register_hook(_positive)
        elif chosen and (len(args) > 1 or name != "max"):
            self._plain[name] = None
        elif name == "mul" and len(features) > 1:
            self._plain["mul of two features"] = None
        return result


def _parts(args: Any) -> list[Any]:
    """What is inside of lists and tuples among the arguments, as indices are."""
    return [part for value in args if isinstance(value, list | tuple) for part in value]


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

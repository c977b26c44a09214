"""Backward passes that let only what speaks in favour through an activation function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from foveal.engine.rules.mode import Handler, RulesMode, pulled
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


@dataclass(frozen=True)
class Guided:
    """Guided backpropagation and the deconvolutional network.

    At y = ReLU(x), with G arriving at y:  "guided" passes G ⊙ [x > 0] ⊙ [G > 0] (Springenberg et al. 2015),
    "deconvnet" G ⊙ [G > 0] alone (Zeiler & Fergus 2014). For activation functions other than ReLU "guided" is the
    derivative of the positive part of G; "deconvnet" is not defined there. Gates (sigmoids of squeeze-excitation)
    scale and do not activate: they follow the derivative.
    """

    kind: Literal["guided", "deconvnet"]

    def mode(self) -> GuidedMode:
        return GuidedMode(self.kind)

    def start(self, verdict: Verdict) -> Tensor:
        return verdict.score

    def account(self, passed: Passed, measured: dict[str, Any], cautions: list[str]) -> None:
        cautions.append("a picture of patterns: much of it does not depend on the decision")


class GuidedMode(RulesMode):
    """One forward whose activation functions go back by the rule."""

    def __init__(self, kind: Literal["guided", "deconvnet"]) -> None:
        super().__init__()
        self._handler = _guided if kind == "guided" else _deconvnet
        self.in_place = kind == "guided"

    def rule(self, name: str) -> Handler | None:
        return self._handler if name in ACTIVATIONS - GATES else None


def _guided(func: Any, args: Any, kwargs: Any) -> Any:
    result = func(*args, **kwargs)
    result.register_hook(_positive)
    return result


def _deconvnet(func: Any, args: Any, kwargs: Any) -> Any:
    name = func.__name__.strip("_")
    if name not in RECTIFIERS and not (name == "hardtanh" and _lower(*args, **kwargs) == 0):  # nn.ReLU6 is that
        raise MethodError(
            f"deconvnet does not apply to this network: it is defined for ReLU, and the network uses {name}; "
            "use guidedbackprop"
        )
    return pulled(func(args[0].detach(), *args[1:], **kwargs), _positive, args[0])


def _lower(input: Tensor, min_val: float = -1.0, *_: Any, **__: Any) -> float:
    return min_val


def _positive(G: Tensor) -> Tensor:
    return G.relu()

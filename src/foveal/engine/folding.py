"""Batch norms folded into the convolutions before them, in a forward pass; no module is changed.

    conv → batch norm     (W∗x + b − μ) γ/√(σ²+ε) + β  =  (W γ/√(σ²+ε))∗x  +  (b − μ) γ/√(σ²+ε) + β

Which convolutions go into a batch norm, and nowhere else, is noted in a plain pass. In a folded one, a function mode
gives these convolutions other weights, and has the batch norms return what they are given. The same goes for the way
back to the image; weights have no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import TensorWeakRef

from foveal.engine.op_record import about_shape
from foveal.engine.overwritten import handed_over
from foveal.engine.precision import CONVOLUTIONS
from foveal.engine.rules.mode import pulled
from foveal.engine.tensor_map import TensorMap
from foveal.engine.uses import tensors_in, tensors_of

_NORMS: Mapping[Any, Sequence[str]] = {
    functional.batch_norm: ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
}
_CONVOLUTION = ("input", "weight", "bias")

FilterAndBias: TypeAlias = "tuple[Tensor, Tensor | None]"
"""The weight and the bias of a convolution."""


class Strayed(BaseException):
    """This pass does not go the way that was noted. Not an Exception, so no model swallows it."""


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """What a batch norm in evaluation mode was given beside its input."""

    mean: Tensor
    variance: Tensor
    weight: Tensor | None
    bias: Tensor | None
    eps: float

    def same(self, other: BatchNorm) -> bool:
        return all(
            own is theirs or (isinstance(own, float) and own == theirs)
            for own, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
        )

    def folded(self, W: Tensor, b: Tensor | None) -> FilterAndBias:
        """The weights of a convolution that has this batch norm in it."""
        scale = (self.variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        shift = -self.mean * scale if b is None else (b - self.mean) * scale
        return W * scale.view(-1, *[1] * (W.ndim - 1)), shift if self.bias is None else shift + self.bias


@dataclass(eq=False)
class Convolution:
    """One call of a convolution.

    Attributes:
        norm: the batch norm that alone takes what it gives; None where something else does.
    """

    weight: Tensor
    bias: Tensor | None
    norm: BatchNorm | None = None
    alone: bool = True


class NormSurvey(TorchFunctionMode):
    """Notes the convolutions of a pass in order, and what takes their results."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[Convolution] = []
        self._of: TensorMap[Convolution] = TensorMap()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not about_shape(func):
            self._taken(func, args, kwargs)
        result = func(*args, **kwargs)
        if func in CONVOLUTIONS and isinstance(result, Tensor):
            weight, bias = _weights(args, kwargs)
            self._of[result] = Convolution(weight, bias)
            self._calls.append(self._of[result])
        return result

    def noted(self, output: Any) -> list[Convolution]:
        """The convolutions of the pass that returned this; none of them has a norm that does not fold."""
        for tensor in tensors_of(output):
            if tensor in self._of:
                self._of[tensor].alone = False
        for call in self._calls:
            call.norm = call.norm if call.alone else None
        return self._calls

    def _taken(self, func: Any, args: Any, kwargs: Any) -> None:
        given = [self._of[tensor] for tensor in tensors_in((args, kwargs)) if tensor in self._of]
        if not given:
            return
        into = _batch_norm(func, args, kwargs)
        for call in given:
            call.alone &= into is not None and call.norm is None and len(given) == 1 and self._of.get(into[0]) is call
            call.norm = into[1] if into else None


class FoldedPass(TorchFunctionMode):
    """One forward pass with weights that have the batch norms in them; with a graph where gradients are on.

    Args:
        calls: the convolutions as noted.
        weights: what to give each instead of its own, with the norm in it where it has one.

    Raises:
        Strayed: in the middle of the pass, or at its end, where it goes another way, turns gradients on or off, or
            wants those of weights.
    """

    def __init__(self, calls: Sequence[Convolution], weights: Sequence[FilterAndBias]) -> None:
        super().__init__()
        self._left = iter(zip(calls, weights, strict=True))
        self._gradient = torch.is_grad_enabled()
        self._waiting: dict[int, tuple[Tensor, BatchNorm]] = {}
        self._normed: dict[int, TensorWeakRef] = {}

    def end(self, output: Any) -> None:
        """The pass has returned."""
        if self._waiting or next(self._left, None) is not None or any(map(self._was_normed, tensors_of(output))):
            raise Strayed

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._normed:  # mostly, the network has let go of it by now
            self._normed = {number: ref for number, ref in self._normed.items() if ref() is not None}
        if (self._waiting or self._normed) and not about_shape(func):
            given = tensors_in((args, kwargs))
            if any(map(self._was_normed, given)):
                raise Strayed
            waiting = [tensor for tensor in given if id(tensor) in self._waiting]
            if waiting:
                return self._norm(waiting, func, args, kwargs)
        return self._convolved(func, args, kwargs) if func in CONVOLUTIONS else func(*args, **kwargs)

    def _convolved(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        call, folded = next(self._left, (None, (None, None)))
        W, b = _weights(args, kwargs)
        if call is None or call.weight is not W or call.bias is not b or self._asks_more(W, b):
            raise Strayed
        others = {name: value for name, value in kwargs.items() if name not in _CONVOLUTION}
        x = args[0] if args else kwargs["input"]
        result: Tensor = func(x, *folded, *args[len(_CONVOLUTION) :], **others)
        if call.norm:
            self._waiting[id(result)] = result, call.norm
        return result

    def _norm(self, waiting: Sequence[Tensor], func: Any, args: Any, kwargs: Any) -> Tensor:
        into = _batch_norm(func, args, kwargs)
        if into is None or len(waiting) > 1 or into[0] is not waiting[0]:
            raise Strayed
        x, norm = into
        if not self._waiting[id(x)][1].same(norm):
            raise Strayed
        del self._waiting[id(x)]
        self._normed[id(x)] = TensorWeakRef(x)
        # Another tensor, as the network may still ask for what it has as the convolution's result.
        return pulled(x, lambda G: G, x) if x.requires_grad else x.detach()

    def _asks_more(self, W: Tensor, b: Tensor | None) -> bool:
        """Whether this convolution has another graph than the pass, or may be computed again, as in checkpointing."""
        if torch.is_grad_enabled() != self._gradient:
            return True
        return self._gradient and (W.requires_grad or (b is not None and b.requires_grad) or handed_over())

    def _was_normed(self, tensor: Tensor) -> bool:
        """Whether it would have been the result of a convolution before its norm."""
        return id(tensor) in self._normed and self._normed[id(tensor)]() is tensor


def _weights(args: Any, kwargs: Any) -> FilterAndBias:
    given = dict(zip(_CONVOLUTION, args, strict=False)) | kwargs
    return given["weight"], given.get("bias")


def _batch_norm(func: Any, args: Any, kwargs: Any) -> tuple[Tensor, BatchNorm] | None:
    """The input of a batch norm, and the rest of it; None of anything else, and of one in training mode."""
    if func not in _NORMS:
        return None
    given = dict(zip(_NORMS[func], args, strict=False)) | kwargs
    mean, variance = given.get("running_mean"), given.get("running_var")
    if given.get("training") or mean is None or variance is None:
        return None
    norm = BatchNorm(mean, variance, given.get("weight"), given.get("bias"), float(given.get("eps", 1e-5)))
    return given["input"], norm

"""Rectifiers that let some gradient through where they are off.

A unit that is off has no gradient, so nothing tells an image how to wake it. Under `LeakyReLUGrad` it gives what it
always gives, but going back an off rectifier passes on a tenth (after the redirected rectifiers of Olah et al., Distill
2017).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

LEAK = 0.1
RECTIFIERS = {"relu", "relu_", "relu6", "threshold", "threshold_", "hardtanh", "hardtanh_"}


class LeakyReLUGrad(TorchFunctionMode):
    """While active, rectifiers leak on the way back. Also in place, by operation rather than by module."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        x = args[0] if args else None
        if getattr(func, "__name__", "") not in RECTIFIERS or not isinstance(x, Tensor) or not x.requires_grad:
            return func(*args, **kwargs)
        if kwargs.pop("inplace", False) or func.__name__.endswith("_"):
            with torch.no_grad():
                value = func(x.detach().clone(), *args[1:], **kwargs)
            return x.copy_(_leaking(x.clone(), value))
        with torch.no_grad():
            value = func(x.detach(), *args[1:], **kwargs)
        return _leaking(x, value)


def _leaking(x: Tensor, value: Tensor) -> Tensor:
    """The value, with slope 1 where x got through and a leak where it did not."""
    slope = torch.where(value == x.detach(), 1.0, LEAK).to(x)
    onward = slope * x
    return value + (onward - onward.detach())

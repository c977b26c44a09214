"""Convolutions of images, with a way back to the colors that takes less time than torch's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from foveal.engine.few_channels import few_channels
from foveal.engine.rules.mode import carries, pulled
from foveal.engine.rules.operation import convolution


def convolved(func: Any, args: Any, kwargs: Any) -> Any:
    """What a convolution gives, with its derivative; back to the colors of an image by `engine.few_channels`."""
    x, op = convolution(*args, **kwargs)
    if not few_channels(x) or carries(op.weight) or not carries(x) or torch.is_autocast_enabled("cpu"):
        return func(*args, **kwargs)
    image = x.detach()
    return pulled(op.forward(image, op.weight, op.bias), lambda G: op.transposed(G, op.weight, image), x)


class ImageConvolutions(TorchFunctionMode):
    """While active, convolutions of images that want a gradient are `convolved`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d and isinstance(args[0] if args else None, Tensor) and torch.is_grad_enabled():
            return convolved(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))

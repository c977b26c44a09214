"""Convolutions of images, with a way back to the colors that takes less time than torch's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import Parameter
from torch.overrides import TorchFunctionMode

from foveal.engine.few_channels import few_channels
from foveal.engine.overwritten import handed_over
from foveal.engine.rules.mode import carries, pulled
from foveal.engine.rules.operation import convolution

_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


def convolved(func: Any, args: Any, kwargs: Any) -> Any:
    """What a convolution gives, with its derivative; back to the colors of an image by `engine.few_channels`."""
    if not _of_an_image(**{**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}):
        return func(*args, **kwargs)
    x, op = convolution(*args, **kwargs)
    image, weight, version = x.detach(), op.weight, op.weight._version

    def back(G: Tensor) -> Tensor:
        if weight._version != version:
            raise RuntimeError("weights of a convolution have been modified by an inplace operation since its forward")
        with torch.autocast("cpu", enabled=False):
            return op.transposed(G, weight, image)

    return pulled(op.forward(image, weight, op.bias), back, x)


def _of_an_image(
    input: Any = None, weight: Any = None, bias: Any = None, stride: Any = 1, padding: Any = 0, **_: Any
) -> bool:
    """Whether the image requires a gradient and the weights do not, in plain autograd without hooks or autocast."""
    if not isinstance(input, Tensor) or not few_channels(input) or not carries(input) or carries([weight, bias]):
        return False
    if {type(input), type(weight), type(bias)} - {Tensor, Parameter, type(None)} or isinstance(padding, str):
        return False
    return not (handed_over() or torch.is_autocast_enabled("cpu") or torch._C._are_functorch_transforms_active())


class ImageConvolutions(TorchFunctionMode):
    """While active, convolutions of images that want a gradient are `convolved`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d and torch.is_grad_enabled():
            return convolved(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))

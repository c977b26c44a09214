"""From a call of torch to the `Operation` it is: convolutions, dense layers, and a batch normalization behind them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from foveal.engine.few_channels import back_to_colors, few_channels
from foveal.engine.rules.contributions import Operation
from foveal.engine.unwatched import unwatched

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Tensor, Operation]:
    """The input, padded where the padding is uneven, and the operation on it."""
    space = weight.ndim - 2
    dilation, stride = _each(dilation, space), _each(stride, space)
    if isinstance(padding, str):
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, weight.shape[2:], strict=True)]
        if any(t % 2 for t in total):
            input = F.pad(input, [side for t in reversed(total) for side in (t // 2, t - t // 2)])
            total = [0] * space
        padding = [t // 2 for t in total]
    settings = (stride, _each(padding, space), dilation, False, [0] * space, groups)
    return input, _convolution(weight, bias, settings)


def transposed_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> tuple[Tensor, Operation]:
    """The input, and the transposed convolution on it as an operation."""
    space = weight.ndim - 2
    stride, padding, dilation = _each(stride, space), _each(padding, space), _each(dilation, space)
    return input, _convolution(weight, bias, (stride, padding, dilation, True, _each(output_padding, space), groups))


def _convolution(weight: Tensor, bias: Tensor | None, settings: Any) -> Operation:
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return torch.convolution(x, weight, bias, *settings)

    stride, padding, dilation, turned, _, groups = settings
    plain = weight.ndim == 4 and not turned and groups == 1 and max(dilation) == 1

    def transposed(s: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        if plain and few_channels(x):
            return back_to_colors(s, weight, x, stride, padding)
        gradient: Tensor = torch.ops.aten.convolution_backward(s, x, weight, None, *settings, [True, False, False])[0]
        return gradient

    return Operation(weight, bias, forward, transposed, 1)


def dense(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Operation]:
    """The input, and the dense layer on its last dimension as an operation."""
    return input, Operation(weight, bias, F.linear, lambda s, weight, x: s @ weight, -1)


def _each(value: Any, space: int) -> list[int]:
    return (
        [int(value)] * space if isinstance(value, int) else [int(v) for v in value] * (space if len(value) == 1 else 1)
    )


def affine(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """Batch normalization with fixed statistics is scale ⊙ x + shift."""
    with unwatched():
        scale = torch.rsqrt(variance + eps)
        scale = scale if weight is None else scale * weight
        shift = -mean * scale if bias is None else torch.addcmul(bias, mean, scale, value=-1)
    return scale, shift

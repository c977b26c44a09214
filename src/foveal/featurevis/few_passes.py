"""Numbers of images and maps whose gradients autograd computes in many passes over memory, here in few.

Both are differentiable once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from jaxtyping import Float

SMALL = 1e-8


class _Variation(torch.autograd.Function):
    """mean √(dy² + dx² + ε): the gradient is a difference of dy/length and dx/length."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        corner = x[..., :-1, :-1]
        dy, dx = x[..., 1:, :-1] - corner, x[..., :-1, 1:] - corner
        length = dy.square().addcmul_(dx, dx).add_(SMALL).sqrt_()
        ctx.save_for_backward(dy, dx, length)
        return length.flatten(1).mean(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        dy, dx, length = ctx.saved_tensors
        k, c, h, w = length.shape
        each = (gradient / (c * h * w)).view(k, 1, 1, 1) / length
        found: Tensor = length.new_zeros(k, c, h + 1, w + 1)
        y = each * dy
        found[..., 1:, :-1] += y
        found[..., :-1, :-1] -= y
        x = each.mul_(dx)
        found[..., :-1, 1:] += x
        found[..., :-1, :-1] -= x
        return found


class _Moments(torch.autograd.Function):
    """μ, σ = √(variance + ε) over the last axis: the gradient is gμ/n + gσ (x − μ)/(n σ)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(x, -1, correction=0)
        deviation = (variance + 1e-24).sqrt()
        ctx.save_for_backward(x, mean, deviation)
        return mean, deviation

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_mean: Tensor, of_deviation: Tensor) -> Tensor:
        x, mean, deviation = ctx.saved_tensors
        n = x.shape[-1]
        centered = x - mean[..., None]
        return torch.addcmul(
            (of_mean / n)[..., None], centered, (of_deviation / deviation / n)[..., None], out=centered
        )


def variation(x: Float[Tensor, "k c h w"]) -> Float[Tensor, " k"]:
    """The mean length of the gradient of each image, over its channels and all but the last row and column."""
    found: Tensor = _Variation.apply(x)
    return found


def mean_and_deviation(x: Float[Tensor, "k c n"]) -> tuple[Float[Tensor, "k c"], Float[Tensor, "k c"]]:
    """Over the last axis; the deviation of equal values is 10⁻¹², so that it has a gradient."""
    mean, deviation = _Moments.apply(x)
    return mean, deviation

"""What may have stood in a hidden place, made up from its surroundings: ROAD's noisy linear imputation.

Every hidden pixel is the weighted mean of its eight neighbors, 1/6 for the four nearest and 1/12 for the diagonals,
the weights of those outside of the image shared among the others; then a little noise. One linear system an image,
the same for all channels (Rong et al., ICML 2022, arXiv:2202.00449; specification: metrics, section 8).

Multiplied by the sum of its weights each equation is symmetric in both pixels, so conjugate gradients solve all
images at once without a matrix; the start comes from the same question at half the size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import MethodError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

SMALLEST = 8  # pixels; smaller images start from the mean
STEPS = 2000
SINGLE = 1e-4  # residuals that single precision reaches


def impute(
    x: Float[Tensor, "n c h w"],
    where: Bool[Tensor, "n 1 h w"],
    *,
    noise: float = 0.01,
    seed: int = 0,
    tolerance: float = 1e-3,
) -> Float[Tensor, "n c h w"]:
    """The images with these positions filled in; all others as they were, to the bit.

    Args:
        x: one image for all, or one a set of positions.
        noise: deviation of what is added there, in the network's units; the seed decides it.
        tolerance: residual of the equations, as a share of the image's range.

    Raises:
        MethodError: when an image is hidden altogether: there is nothing to fill it from.
    """
    if bool(where.flatten(1).all(1).any()):
        raise MethodError("cannot impute an image that is completely hidden: leave at least one pixel")
    k = max(len(x), len(where))
    x, where = x.expand(k, *x.shape[1:]), where.expand(k, *where.shape[1:])
    # Single precision is exact enough for what noise of 0.01 goes on top of.
    filled = _solved(x.double() if tolerance < SINGLE else x.float(), where, tolerance)
    if noise:
        random = torch.Generator().manual_seed(seed)
        grain = torch.randn(x.shape[1:], generator=random, device="cpu", dtype=torch.float64)
        filled = filled + noise * grain.to(filled)
    return torch.where(where, filled.to(x), x)


def _solved(x: Tensor, where: Tensor, tolerance: float) -> Tensor:
    """Conjugate gradients for  W v − N v = N x  on the hidden pixels; N sums neighbors by weight, W its weights."""
    out, kept = where.to(x), (~where).to(x)
    W = _neighbors(torch.ones_like(kept))
    v = _start(x, where, tolerance) * out
    r = (_neighbors(x * kept) - W * v + _neighbors(v)) * out
    p, rr = r, _dot(r, r)
    span = (x.amax((2, 3), keepdim=True) - x.amin((2, 3), keepdim=True)).clamp(min=1e-12)
    for _ in range(STEPS):
        if bool((r.abs() <= tolerance * span).all()):
            break
        Ap = (W * p - _neighbors(p)) * out
        step = rr / _dot(p, Ap).clamp(min=1e-30)
        v, r = v + step * p, r - step * Ap
        before, rr = rr, _dot(r, r)
        p = r + rr / before.clamp(min=1e-30) * p
    return v


def _start(x: Tensor, where: Tensor, tolerance: float) -> Tensor:
    """A first guess: the answer at half the size, or the mean of what is left."""
    kept = (~where).to(x)
    if min(x.shape[2:]) < 2 * SMALLEST:
        return ((x * kept).sum((2, 3), keepdim=True) / kept.sum((2, 3), keepdim=True)).expand_as(x)
    share = functional.avg_pool2d(kept, 2, ceil_mode=True, count_include_pad=False)
    small = functional.avg_pool2d(x * kept, 2, ceil_mode=True, count_include_pad=False) / share.clamp(min=0.2)
    empty = share == 0
    filled = torch.where(empty, _solved(small, empty, tolerance), small)
    return functional.interpolate(filled, x.shape[2:], mode="bilinear", align_corners=False)


def _neighbors(v: Tensor) -> Tensor:
    """Σ over the eight neighbors, by weight; outside of the image there is none."""
    padded = functional.pad(v, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + padded[..., 2:, :]  # above and below
    horizontal = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    diagonal = rows[..., :-2] + rows[..., 2:]
    return (horizontal + rows[..., 1:-1]) / 6 + diagonal / 12


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((2, 3), keepdim=True)

"""Evidence without the grid of strides: what neighboring positions have together is shared among them.

    shared = a · K(R / K(a))        a ≥ 0 the activity, K the triangle filter of s positions to each side

A stride of s reaches only every s-th position, so evidence carried back through it is a grid of dots. Each position
gives its evidence to those around it, to active ones more. As K is symmetric, Σ shared = Σ R, for any activity; and the
triangle is 0 at the frequencies k/s of the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

Pair = tuple[int, int]
STRIDES = 2  # stages further whose grid is removed; what is left of those behind them is faint


def without_grid(
    R: Float[torch.Tensor, "k c h w"], activity: Float[torch.Tensor, "k c h w"], steps: Pair
) -> Float[torch.Tensor, "k c h w"]:
    """R shared among the positions less than `steps` (y, x) away, as they are active; R is 0 where none is."""
    if steps == (1, 1):
        return R
    near = _blurred(activity, steps)
    ratio = torch.where(near > 0, R / torch.where(near > 0, near, 1), 0)
    return activity * _blurred(ratio, steps)


def grid_steps(pools: Sequence[Pair]) -> Pair:
    """Positions of a stage to one of the stage `STRIDES` further, from the steps between stages that follow it."""
    y = x = 1
    for down, across in pools[:STRIDES]:
        y, x = y * down, x * across
    return y, x


def _blurred(maps: Float[torch.Tensor, "k c h w"], steps: Pair) -> Float[torch.Tensor, "k c h w"]:
    for axis, step in zip((2, 3), steps, strict=True):
        triangle = step - torch.arange(1 - step, step, dtype=maps.dtype, device=maps.device).abs()
        shape, pad = ((-1, 1), (step - 1, 0)) if axis == 2 else ((1, -1), (0, step - 1))
        kernel = (triangle / step**2).view(1, 1, *shape)
        maps = functional.conv2d(maps.flatten(0, 1)[:, None], kernel, padding=pad)[:, 0].view_as(maps)
    return maps

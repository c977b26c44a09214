"""gAP: what each channel of a stage contributes to one number further on. Specification: gAP, sections 4.1 to 4.4.

    A   (k, c, h, w), the stage, or windows of it      G   ∂ y / ∂ A      s   its cells to a cell of the next stage

    pool_up   R = ReLU(A ⊙ Up(SumPool_s(G)))                                the published rule
    exact     R = A ⊙ G, signed; sums to y but for biases
    window    R = A · SumPool_s(A ⊙ G) / SumPool_s(A), window by window     as smooth as the first, sums like the second

Max pooling sends a gradient to one winner a window, so A ⊙ G is dotted; the sum over the window is the gradient at the
pooled tensor, exactly, and needs no knowledge of how the network pools.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Pair = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """Where windows lie in a stage.

    Attributes:
        size: (h, w) of the whole stage.
        corners: (k, 2), row and column of each window's upper left cell, multiples of `pool`.
        pool: cells of the stage to a cell of the next one, (y, x).
    """

    size: Pair
    corners: Int[Tensor, "k 2"]
    pool: Pair

    @staticmethod
    def whole(A: Float[Tensor, "k c h w"], pool: Pair) -> Frame:
        """Of maps that are no windows."""
        h, w = A.shape[2:]
        return Frame((h, w), torch.zeros(len(A), 2, dtype=torch.long), pool)


def pool_up(A: Float[Tensor, "k c h w"], G: Float[Tensor, "k c h w"], frame: Frame) -> Float[Tensor, "k c h w"]:
    """ReLU(A ⊙ Up(SumPool(G))), Up bilinear with aligned corners over the whole stage."""
    if frame.pool == (1, 1):
        return (A * G).relu()
    pooled = sum_pool(G, frame.pool)
    up, across = (
        _rows_of_up(
            frame.size[axis], frame.pool[axis], frame.corners[:, axis], A.shape[2 + axis], pooled.shape[2 + axis]
        )
        for axis in (0, 1)
    )
    raised = torch.einsum("kyp,kcpq,kxq->kcyx", up.to(G), pooled, across.to(G))
    return (A * raised).relu()


def exact(A: Float[Tensor, "k c h w"], G: Float[Tensor, "k c h w"], frame: Frame) -> Float[Tensor, "k c h w"]:
    """A ⊙ G."""
    return A * G


def window(A: Float[Tensor, "k c h w"], G: Float[Tensor, "k c h w"], frame: Frame) -> Float[Tensor, "k c h w"]:
    """What a window of cells contributes, shared among them as they are active; where none is, evenly."""
    return spread(A * G, A.abs(), frame.pool)


def spread(R: Float[Tensor, "k c h w"], activity: Float[Tensor, "k c h w"], pool: Pair) -> Float[Tensor, "k c h w"]:
    """The sum of R over each window, shared among its positions by activity; R is 0 where there is none."""
    if pool == (1, 1):
        return R
    total, active = sum_pool(R, pool), sum_pool(activity, pool)
    ratio = torch.where(active > 0, total / torch.where(active > 0, active, 1), 0)
    shared = ratio.repeat_interleave(pool[0], 2).repeat_interleave(pool[1], 3)
    return activity * shared[:, :, : R.shape[2], : R.shape[3]]


RULES: dict[str, Callable[[Tensor, Tensor, Frame], Tensor]] = {"pool_up": pool_up, "exact": exact, "window": window}


def sum_pool(tensor: Float[Tensor, "k c h w"], pool: Pair) -> Float[Tensor, "k c p q"]:
    """Sums over windows side by side; what is missing at the lower and right border counts as zero."""
    h, w = tensor.shape[2:]
    padded = functional.pad(tensor, (0, -w % pool[1], 0, -h % pool[0]))
    return functional.avg_pool2d(padded, pool) * (pool[0] * pool[1])


def _rows_of_up(
    size: int, pool: int, corners: Int[Tensor, " k"], side: int, pooled: int
) -> Float[Tensor, "k side pooled"]:
    """For each window its part of the matrix that interpolates the pooled stage."""
    matrix = _up(size, -(-size // pool))
    rows = corners[:, None] + torch.arange(side)
    columns = corners[:, None] // pool + torch.arange(pooled)
    inside = columns < matrix.shape[1]
    parts = matrix[rows[:, :, None], columns.clamp(max=matrix.shape[1] - 1)[:, None, :]]
    return parts * inside[:, None, :]


@cache
def _up(size: int, pooled: int) -> Float[Tensor, "size pooled"]:
    """Bilinear interpolation along one axis, corners aligned."""
    matrix = torch.zeros(size, pooled, dtype=torch.float64)
    at = torch.linspace(0, pooled - 1, size, dtype=torch.float64)
    low = at.floor().long().clamp(max=max(pooled - 2, 0))
    share = at - low
    row = torch.arange(size)
    matrix[row, low] += 1 - share
    matrix[row, (low + 1).clamp(max=pooled - 1)] += share
    return matrix


def gate(
    A: Float[Tensor, "1 c h w"], G: Float[Tensor, "1 c h w"], *, threshold: float = 0.5
) -> Float[Tensor, "1 1 h w"]:
    """1 where Grad-CAM reaches `threshold` of its maximum, else 0: keeps the root's features on the object (4.5).

    All ones where Grad-CAM is nowhere positive.
    """
    M = torch.einsum("nc,nchw->nhw", G.mean((2, 3)), A).relu()
    top = M.amax((1, 2), keepdim=True)
    return torch.where(top > 0, (top * threshold <= M).to(A), torch.ones_like(M))[:, None]

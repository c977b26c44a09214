"""Holes of any shape filled with weighted means of neighbors: the equations of ROAD's imputation, on halving grids.

A v = W v − N v is symmetric: N sums the eight neighbors in the hole, 1/6 each for the nearest and 1/12 for the
diagonals; W is the weight of all neighbors there are. A cell of the next coarser grid belongs to the hole if any of
its four does. It keeps their weight to what is known, and of the neighbors the same weights again: the energy of a
slope does not depend on the size of its cells (Briggs, Henson and McCormick, A Multigrid Tutorial, 2000).

One cycle is symmetric and positive, so it may precondition conjugate gradients, which then need two or three steps.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FEW = 64  # cells: a grid that small is solved directly


class HoleGrid:
    """The equations of n holes, and all coarser grids below.

    Attributes:
        hole: (n, 1, h, w), 1 in the hole and 0 elsewhere.
        below: the grid of half the size; None for the coarsest.
    """

    def __init__(self, hole: Tensor, known: Tensor) -> None:
        """`known`: the weight to what is known, 0 outside of the hole."""
        self.hole, self.below = hole, None
        weight = hole * (spread(hole) - hole / 3) + known
        self._weight, self._share = weight + hole / 3, hole / weight.clamp(min=1e-12)
        if hole[0].numel() > FEW:
            self.below = HoleGrid((summed(hole) > 0).to(hole), summed(known))
        else:
            self._inverse = self._inverted()

    def __call__(self, v: Tensor) -> Tensor:
        """A v, of a v that is 0 outside of the hole."""
        return (self._weight * v).addcmul_(self.hole, spread(v), value=-1)

    def cycle(self, r: Tensor) -> Tensor:
        """Nearly the v of A v = r: one sweep here, a correction from the coarser grid, one sweep."""
        if self.below is None:
            return self._exact(r)
        v = self._share * r
        v.addcmul_(self.hole, refined(self.below.cycle(coarsened(r - self(v))), r.shape))
        return v.addcmul_(self._share, r - self(v))

    def start(self, b: Tensor, x: Tensor) -> Tensor:
        """A first v of A v = b, from one cycle on each coarser grid; x is the image around the holes."""
        if self.below is None:
            return self._exact(b)
        grid, fewer = self.below, summed(b)
        small = summed(_even(x, "replicate")) / 4
        v = grid.start(fewer, small)
        v = v + grid.cycle(fewer - grid(v))
        return self.hole * refined(torch.lerp(small, v, grid.hole), b.shape)

    def _exact(self, r: Tensor) -> Tensor:
        return torch.matmul(r.flatten(2), self._inverse).view_as(r)

    def _inverted(self) -> Tensor:
        """(n, cells, cells), 0 outside of the hole."""
        inside, (h, w) = self.hole.flatten(1), self.hole.shape[2:]
        both = inside[:, :, None] * inside[:, None]
        near = spread(torch.eye(h * w).to(self.hole).view(-1, 1, h, w)).flatten(1)
        inverse: Tensor = torch.linalg.inv(torch.diag_embed(self._weight.flatten(1) + 1 - inside) - near * both)
        return inverse * both


def spread(v: Tensor) -> Tensor:
    """Σ over the eight neighbors by weight, and a third of the cell itself: [1 2 1]ᵀ [1 2 1] / 12; 0 lies outside."""
    rows = v * (1 / 6)
    rows[..., 1:, :].add_(v[..., :-1, :], alpha=1 / 12)
    rows[..., :-1, :].add_(v[..., 1:, :], alpha=1 / 12)
    both = rows * 2
    both[..., 1:] += rows[..., :-1]
    both[..., :-1] += rows[..., 1:]
    return both


def summed(v: Tensor) -> Tensor:
    """The sum of each 2 × 2 cells."""
    v = _even(v)
    v = v[..., ::2, :] + v[..., 1::2, :]
    return v[..., ::2] + v[..., 1::2]


def refined(v: Tensor, shape: torch.Size) -> Tensor:
    """Twice the size, bilinear; the last row and column are left out where `shape` is odd."""
    # As functional.interpolate, which takes six times as long on a processor.
    v = _interleaved(v, functional.pad(v, (1, 1, 0, 0), mode="replicate"), -1)
    v = _interleaved(v, functional.pad(v, (0, 0, 1, 1), mode="replicate"), -2)
    return v[..., : shape[-2], : shape[-1]]


def coarsened(v: Tensor) -> Tensor:
    """Half the size: what `refined` does, transposed."""
    v = _even(v)
    for dim in (-2, -1):
        first, second = (v[..., ::2, :], v[..., 1::2, :]) if dim == -2 else (v[..., ::2], v[..., 1::2])
        both = (first + second) * 0.75
        last = both.shape[dim] - 1
        both.narrow(dim, 0, last).add_(first.narrow(dim, 1, last), alpha=0.25)
        both.narrow(dim, 1, last).add_(second.narrow(dim, 0, last), alpha=0.25)
        both.narrow(dim, 0, 1).add_(first.narrow(dim, 0, 1), alpha=0.25)
        both.narrow(dim, last, 1).add_(second.narrow(dim, last, 1), alpha=0.25)
        v = both
    return v


def _interleaved(v: Tensor, padded: Tensor, dim: int) -> Tensor:
    """Two for one: three quarters of it and a quarter of the one before, and of the one after."""
    n, c, h, w = v.shape
    size = v.shape[dim]
    two = v.new_empty((n, c, h, w, 2) if dim == -1 else (n, c, h, 2, w))
    torch.lerp(v, padded.narrow(dim, 0, size), 0.25, out=two.select(dim if dim == -1 else -2, 0))
    torch.lerp(v, padded.narrow(dim, 2, size), 0.25, out=two.select(dim if dim == -1 else -2, 1))
    return two.view((n, c, h, 2 * w) if dim == -1 else (n, c, 2 * h, w))


def _even(v: Tensor, mode: str = "constant") -> Tensor:
    h, w = v.shape[-2:]
    return functional.pad(v, (0, w % 2, 0, h % 2), mode=mode) if h % 2 or w % 2 else v

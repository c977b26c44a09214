"""Where the tiles of a large picture lie, and how the maps of all become one.

The cells of all maps lie on one lattice, since tiles begin a whole number of cells apart. Where tiles overlap

    each tile for itself    M = Σₖ wₖ Mₖ with Σₖ wₖ = 1 in every cell; wₖ falls towards the edges of tile k
    one decision in all     S = mean, max or log Σ exp of the tiles' scores sₖ, M = Σₖ ∂S/∂sₖ Mₖ: where each tile's map
                            sums to its score, M sums to Σₖ ∂S/∂sₖ sₖ, which is S for mean and max
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from foveal.errors import MethodError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

Corner: TypeAlias = "tuple[int, int]"
"""(y, x), or a height and a width."""

TilePooling: TypeAlias = Literal["mean", "max", "logsumexp"]
POOLINGS: tuple[TilePooling, ...] = ("mean", "max", "logsumexp")
MOST_CELLS = 2**26
SLACK = 1e-6


@dataclass(frozen=True)
class TileGrid:
    """Tiles of one size over a picture.

    Attributes:
        side: (h, w) of a tile in pixels of the picture.
        cells: (h, w) of a tile's map.
        step: (y, x) pixels from one cell to the next.
        starts: the first cell of each row of tiles, and of each column, on the lattice.
    """

    side: Corner
    cells: Corner
    step: tuple[float, float]
    starts: tuple[tuple[int, ...], tuple[int, ...]]

    @classmethod
    def over(cls, picture: Corner, side: Corner, cells: Corner, step: tuple[float, float], overlap: float) -> TileGrid:
        """The fewest tiles that overlap by at least this share of their side and leave no cell out.

        Raises:
            MethodError: where the maps of so many tiles do not fit.
        """
        rows, columns = (
            _starts(whole, length, count, pitch, overlap)
            for whole, length, count, pitch in zip(picture, side, cells, step, strict=True)
        )
        grid = cls(side, cells, step, (rows, columns))
        if math.prod(grid.size) > MOST_CELLS:
            h, w = grid.size
            raise MethodError(f"a map of {h}×{w} cells does not fit into memory: explain the tiles at a deeper layer")
        return grid

    def __len__(self) -> int:
        return len(self.starts[0]) * len(self.starts[1])

    @property
    def size(self) -> Corner:
        """(h, w) of the lattice."""
        return self.starts[0][-1] + self.cells[0], self.starts[1][-1] + self.cells[1]

    @property
    def stride(self) -> Corner:
        """Cells from one tile to the next."""
        h, w = ((s[1] - s[0]) if len(s) > 1 else n for s, n in zip(self.starts, self.cells, strict=True))
        return h, w

    def corners(self) -> Iterator[Corner]:
        """(row, column) of the first cell of each tile, row by row."""
        return ((row, column) for row in self.starts[0] for column in self.starts[1])

    def pixel(self, corner: Corner) -> Corner:
        """Where a tile begins on the picture, (top, left)."""
        return round(corner[0] * self.step[0]), round(corner[1] * self.step[1])

    def weights(self) -> Float[Tensor, "h w"]:
        """What a tile counts in each of its cells before the weights of all tiles are made to sum to one."""
        rows, columns = (_ramp(n, n - k) for n, k in zip(self.cells, self.stride, strict=True))
        return rows[:, None] * columns


def _starts(whole: int, side: int, cells: int, step: float, overlap: float) -> tuple[int, ...]:
    stride = min(cells, max(1, math.floor((1 - overlap) * side / step + SLACK)))
    last = max(0, math.ceil((whole - side) / step - SLACK))
    return (*range(0, last, stride), last)


def _ramp(cells: int, shared: int) -> Float[Tensor, " cells"]:
    """Up to one within the overlap, and down to its end."""
    at = torch.arange(cells, dtype=torch.float64)
    edge = max(1, min(shared, cells // 2))
    return (torch.minimum(at, cells - 1 - at) + 1).clamp(max=edge) / edge


class StitchedMap:
    """Each tile for itself: the mean of the tiles' maps in every cell, weighted by how far from their edges it is."""

    def __init__(self, grid: TileGrid) -> None:
        self._grid, self._weights = grid, grid.weights()
        self._sum = torch.zeros(grid.size, dtype=torch.float64)
        self._weight = torch.zeros(grid.size, dtype=torch.float64)

    def add(self, map: Float[Tensor, "h w"], corner: Corner, score: float) -> None:
        """One more tile."""
        at = _window(self._grid, corner)
        self._sum[at] += self._weights * map.double()
        self._weight[at] += self._weights

    def map(self) -> Float[Tensor, "h w"]:
        """The map of the picture."""
        return self._sum / self._weight


class PooledMap:
    """One decision in all: tiles as they come, each map times the derivative of the pooled score."""

    def __init__(self, grid: TileGrid, pooling: TilePooling) -> None:
        self._grid, self._pooling = grid, pooling
        self._sum = torch.zeros(grid.size, dtype=torch.float64)
        self._largest, self._total = -math.inf, 0.0

    def add(self, map: Float[Tensor, "h w"], corner: Corner, score: float) -> None:
        """One more tile."""
        at = _window(self._grid, corner)
        if self._pooling == "mean":
            self._sum[at] += map.double()
        elif self._pooling == "logsumexp":
            # Relative to the largest score so far, so that nothing overflows.
            largest = max(self._largest, score)
            shrink, weight = math.exp(self._largest - largest), math.exp(score - largest)
            self._sum *= shrink
            self._sum[at] += weight * map.double()
            self._largest, self._total = largest, self._total * shrink + weight
        elif score > self._largest:
            self._largest = score
            self._sum.zero_()
            self._sum[at] = map.double()

    def map(self) -> Float[Tensor, "h w"]:
        """The map of the picture."""
        if self._pooling == "mean":
            return self._sum / len(self._grid)
        return self._sum / self._total if self._pooling == "logsumexp" else self._sum


def pooled_scores(scores: Tensor, pooling: TilePooling) -> Tensor:
    """The score of all tiles from theirs, (tiles,) or (tiles, classes): the mean, the largest, or log Σ exp."""
    if pooling == "logsumexp":
        return scores.logsumexp(0)
    return scores.mean(0) if pooling == "mean" else scores.amax(0)


def _window(grid: TileGrid, corner: Corner) -> tuple[slice, slice]:
    (row, column), (h, w) = corner, grid.cells
    return slice(row, row + h), slice(column, column + w)

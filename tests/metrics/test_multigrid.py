"""The grids of the imputation against what is known of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foveal.metrics.multigrid import HoleGrid, coarsened, refined, spread, summed

SIZES = [(12, 16), (13, 9), (1, 30), (17, 2), (7, 7)]


def grid_of(h: int, w: int) -> HoleGrid:
    hole = (torch.rand(3, 1, h, w, generator=torch.Generator().manual_seed(0)) < 0.8).double()
    hole[..., 0, 0] = 0
    return HoleGrid(hole, hole * spread(1 - hole))


def matrix(of: HoleGrid, step: str) -> Tensor:
    """(n, cells, cells), column by column."""
    h, w = of.hole.shape[2:]
    one = torch.eye(h * w, dtype=torch.float64).view(1, -1, h, w) * of.hole
    made = of(one) if step == "equations" else of.cycle(one)
    return made.flatten(2).transpose(1, 2)


@pytest.mark.parametrize(("h", "w"), SIZES)
def test_refining_is_bilinear_and_coarsening_its_transpose(h: int, w: int) -> None:
    torch.manual_seed(0)
    low, high = torch.randn(2, 3, (h + 1) // 2, (w + 1) // 2).double(), torch.randn(2, 3, h, w).double()
    larger = functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)[..., :h, :w]
    assert torch.allclose(refined(low, high.shape), larger)
    assert torch.allclose((refined(low, high.shape) * high).sum(), (low * coarsened(high)).sum())
    assert torch.allclose(summed(high).sum(), high.sum()) and summed(high).shape == low.shape


def test_a_third_of_itself_and_its_neighbors_by_weight() -> None:
    point = torch.zeros(1, 1, 5, 6).double()
    point[..., 2, 3] = 1
    kernel = torch.tensor([[1 / 12, 1 / 6, 1 / 12], [1 / 6, 1 / 3, 1 / 6], [1 / 12, 1 / 6, 1 / 12]]).double()
    assert torch.allclose(spread(point)[0, 0, 1:4, 2:5], kernel, atol=1e-7)
    assert torch.allclose(spread(point), functional.conv2d(point, kernel[None, None], padding=1), atol=1e-7)


@pytest.mark.parametrize(("h", "w"), SIZES)
def test_a_cycle_may_precondition_conjugate_gradients(h: int, w: int) -> None:
    """Equations and cycle are symmetric and positive in the hole, and the cycle nearly solves the equations."""
    grid = grid_of(h, w)
    A, M = matrix(grid, "equations"), matrix(grid, "cycle")
    for hole, one, other in zip(grid.hole.flatten(1).bool(), A, M, strict=True):
        a, m = one[hole][:, hole], other[hole][:, hole]
        assert torch.allclose(a, a.T) and torch.allclose(m, m.T, atol=1e-9)
        assert float(torch.linalg.eigvalsh(a)[0]) > 0 and float(torch.linalg.eigvalsh(m)[0]) > 0
        left = torch.linalg.eigvals(m @ a).real
        assert float(left.min()) > 0.3 and float(left.max()) < 2
    assert not bool((M * (1 - grid.hole.flatten(1))[:, None]).any())


def test_the_coarsest_grid_is_solved_exactly() -> None:
    grid = grid_of(6, 6)
    assert grid.below is None
    r = torch.randn(3, 2, 6, 6).double() * grid.hole
    assert torch.allclose(grid(grid.cycle(r)), r)
    assert torch.equal(grid.start(r, torch.zeros(1, 2, 6, 6)), grid.cycle(r))

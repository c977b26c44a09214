"""Evidence shared among neighbors: the sum stays, the grid goes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.lattice import lattice_ratio

from foveal.attribution.sharing import grid_steps, without_grid


def test_each_position_gives_to_those_around_it_as_they_are_active() -> None:
    torch.manual_seed(0)
    R, a = torch.randn(1, 1, 7, 9, dtype=torch.double), torch.rand(1, 1, 7, 9, dtype=torch.double)
    steps = (2, 3)
    expected = torch.zeros_like(R)
    for y in range(7):
        for x in range(9):
            weights = {
                (v, u): (steps[0] - abs(v - y)) * (steps[1] - abs(u - x)) * float(a[0, 0, v, u])
                for v in range(max(0, y - 1), min(7, y + 2))
                for u in range(max(0, x - 2), min(9, x + 3))
            }
            for (v, u), weight in weights.items():
                expected[0, 0, v, u] += R[0, 0, y, x] * weight / sum(weights.values())
    torch.testing.assert_close(without_grid(R, a, steps), expected)


@pytest.mark.parametrize("steps", [(1, 1), (2, 2), (4, 4), (3, 2)])
def test_the_sum_of_each_map_stays(steps: tuple[int, int]) -> None:
    torch.manual_seed(1)
    R, a = torch.randn(2, 3, 14, 13, dtype=torch.double), torch.rand(2, 3, 14, 13, dtype=torch.double)
    a[:, :, 5:9] = 0
    R = R * (a > 0)
    torch.testing.assert_close(without_grid(R, a, steps).sum((2, 3)), R.sum((2, 3)))


def test_dots_of_a_stride_become_even() -> None:
    R = torch.zeros(1, 1, 16, 16, dtype=torch.double)
    R[..., ::4, ::4] = 1
    inside = without_grid(R, torch.ones_like(R), (4, 4))[0, 0, 4:-4, 4:-4]
    torch.testing.assert_close(inside, torch.full_like(inside, 1 / 16))


def test_what_is_not_active_gets_nothing() -> None:
    R, a = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    R[..., 1, 1], a[..., 1, 1], a[..., 1, 2] = 6.0, 1.0, 1.0
    shared = without_grid(R, a, (2, 2))
    assert shared[0, 0, 1, 1] == 4
    assert shared[0, 0, 1, 2] == 2
    assert shared.sum() == 6


def test_steps_reach_two_stages_further() -> None:
    assert grid_steps([(2, 2), (2, 1), (2, 2)]) == (4, 2)
    assert grid_steps([(2, 2)]) == (2, 2)
    assert grid_steps([]) == (1, 1)


def test_the_measure_knows_a_grid() -> None:
    """Dots of a stride have it, noise does not, nor dots that were shared."""
    chance = np.random.default_rng(0)
    noise = chance.random((30, 28, 28))
    dots = np.zeros_like(noise)
    dots[:, ::2, ::2] = noise[:, ::2, ::2]
    assert lattice_ratio(noise, (2, 2))[0] == pytest.approx(1, abs=0.25)
    ratio, low, high = lattice_ratio(dots, (2, 2))
    assert low <= ratio <= high and ratio > 5
    shared = without_grid(torch.from_numpy(dots)[:, None], torch.ones(30, 1, 28, 28, dtype=torch.double), (2, 2))
    assert lattice_ratio(shared[:, 0].numpy(), (2, 2))[0] < 1.2

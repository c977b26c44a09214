"""Ranked maps on a score whose parts are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from foveal.errors import MethodError
from foveal.metrics import coverage, falling, overlap, part_drops


def parts() -> tuple[Tensor, Tensor]:
    """Three blocks of 4 × 4 places, and what each is worth."""
    maps = torch.zeros(3, 12, 12)
    for k in range(3):
        maps[k, 4 * k : 4 * k + 4, :4] = 1
    return maps, torch.tensor([5.0, 3.0, 1.0])


def test_each_part_costs_what_it_is_worth() -> None:
    maps, worth = parts()
    x = torch.ones(1, 1, 12, 12)

    def score(z: Tensor) -> Tensor:
        return torch.stack([(z[:, 0] * map).sum((1, 2)) / 16 for map in maps], 1) @ worth

    drops = part_drops(score, x, maps)
    assert drops.tolist() == pytest.approx(worth.tolist()) and falling(drops) == 1
    assert falling(part_drops(score, x, maps.flip(0))) == -1 and math.isnan(falling(torch.ones(3)))
    with pytest.raises(MethodError, match="parts are maps"):
        part_drops(score, x, maps[0])


def test_overlap_and_coverage() -> None:
    maps, _ = parts()
    assert (
        overlap(maps) == 0 and overlap(maps[:1].repeat(2, 1, 1)) == pytest.approx(1) and math.isnan(overlap(maps[:1]))
    )
    left = torch.zeros(12, 12, dtype=torch.bool)
    left[:, :8] = True
    assert coverage(maps, left) == pytest.approx(0.5) and math.isnan(
        coverage(maps, torch.zeros(12, 12, dtype=torch.bool))
    )

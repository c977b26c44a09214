"""Localization on squares whose values are known, and against slow definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from foveal.metrics.placement import (
    average_precision,
    box_of,
    box_overlap,
    energy,
    iou,
    largest_part,
    lift,
    max_box_accuracy,
    pointing,
    rank_accuracy,
    roc_area,
)

METRICS = (pointing, energy, lift, rank_accuracy, roc_area, average_precision)


def square(side: int = 20, top: int = 5, left: int = 8, size: int = 6) -> Tensor:
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[top : top + size, left : left + size] = True
    return mask


def test_the_mask_itself_is_perfect_and_its_opposite_is_not() -> None:
    inside = square()
    area = 36 / 400
    map = inside.float()
    assert [metric(map, inside) for metric in METRICS] == pytest.approx([1, 1, 1 / area, 1, 1, 1])
    opposite = (~inside).float()
    assert pointing(opposite, inside) == energy(opposite, inside) == rank_accuracy(opposite, inside) == 0
    assert roc_area(opposite, inside) == 0


def test_a_constant_map_has_the_value_of_the_area() -> None:
    inside, map = square(), torch.full((20, 20), 3.0)
    area = 36 / 400
    assert pointing(map, inside) == pytest.approx(area) and energy(map, inside) == pytest.approx(area)
    assert lift(map, inside) == pytest.approx(1) and roc_area(map, inside) == pytest.approx(0.5)
    assert rank_accuracy(map, inside) == pytest.approx(area) and average_precision(map, inside) == pytest.approx(area)


def test_nothing_to_be_on_is_undefined() -> None:
    map, none, all_of_it = torch.rand(6, 6), torch.zeros(6, 6, dtype=torch.bool), torch.ones(6, 6, dtype=torch.bool)
    assert all(math.isnan(metric(map, none)) for metric in METRICS)
    assert (
        math.isnan(lift(map, all_of_it))
        and math.isnan(roc_area(map, all_of_it))
        and math.isnan(energy(-map, all_of_it))
    )
    assert math.isnan(box_overlap(map, []))


def test_against_slow_definitions() -> None:
    torch.manual_seed(0)
    for _ in range(5):
        map, inside = (10 * torch.randn(7, 9)).round(), torch.rand(7, 9) < 0.3
        here, there = map[inside].tolist(), map[~inside].tolist()
        slow = sum((a > b) + 0.5 * (a == b) for a in here for b in there) / (len(here) * len(there))
        assert roc_area(map, inside) == pytest.approx(slow)
        precisions, before = 0.0, 0.0
        for level in sorted(set(map.flatten().tolist()), reverse=True):
            taken = map >= level
            recall = float((taken & inside).sum() / inside.sum())
            precisions += float((taken & inside).sum() / taken.sum()) * (recall - before)
            before = recall
        assert average_precision(map, inside) == pytest.approx(precisions)
        assert energy(map, inside) == pytest.approx(sum(max(v, 0) for v in here) / sum(max(v, 0) for v in here + there))


def test_pointing_within_a_tolerance() -> None:
    map = torch.zeros(20, 20)
    map[2, 8] = 1
    assert pointing(map, square()) == 0 and pointing(map, square(), tolerance=3) == 1


def test_boxes() -> None:
    map = square().float()
    map[15:17, 1:3] = 0.9  # a smaller part
    map[0, 0] = 0.1  # below the threshold
    assert box_of(map) == (8, 5, 14, 11)
    assert box_of(torch.zeros(4, 4)) == (0, 0, 0, 0) and iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
    assert iou((0, 0, 4, 4), (2, 2, 6, 6)) == pytest.approx(4 / 28)
    assert box_overlap(map, [(0, 0, 1, 1), (8, 5, 14, 11)]) == 1
    two = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 0]], dtype=torch.bool)
    assert largest_part(two).tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    shifted = [(8.0, 5.0, 14.0, 14.0)]  # overlap 2/3
    assert max_box_accuracy([map, map], [[(8, 5, 14, 11)], shifted]) == pytest.approx((1 + 1 + 0.5) / 3)

"""What the benchmarks on photos compute, on cases whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.part_points import Discs, density, pointed
from benchmarks.real_few_shot import episodes
from benchmarks.real_persons import first_is_right
from benchmarks.real_photos import RealPhoto, folds, on_object
from benchmarks.verdicts import cell, compared


def test_folds_test_each_photo_once_and_spread_every_class() -> None:
    labels = [0] * 12 + [1] * 7 + [2] * 5
    seen: list[int] = []
    for learn, test in folds(labels, 5):
        assert sorted([*learn, *test]) == list(range(24))
        counts = np.bincount([labels[i] for i in test], minlength=3)
        assert all(n // 5 <= count <= -(-n // 5) for count, n in zip(counts, (12, 7, 5), strict=True))
        seen += test
    assert sorted(seen) == list(range(24))


def test_verdicts_are_undecided_unless_the_interval_leaves_zero_out() -> None:
    random = np.random.default_rng(0)
    base = random.normal(0, 1, 40)
    assert compared(base + 1 + random.normal(0, 0.1, 40), base).endswith(" better")
    assert compared(base + 1 + random.normal(0, 0.1, 40), base, lower=True).endswith(" worse")
    assert compared(base + random.normal(0, 1, 40), base).endswith(" undecided")
    assert compared([1.0, math.nan], [0.0, 1.0]) == "–" == cell([math.nan])
    assert cell([0.5, 0.5], percent=True) == "50 ± 0"


def test_evidence_on_the_object_counts_only_what_was_seen() -> None:
    map = np.array([[np.nan, 3.0, 1.0, -5.0]])
    hit, share, area = on_object(map, np.array([[True, True, False, False]]))
    assert (hit, share, area) == pytest.approx((1, 0.75, 1 / 3))
    assert all(math.isnan(value) for value in on_object(map, None))


def test_boxes_that_leave_the_photo_are_cut() -> None:
    inside = RealPhoto(Path("a.jpg"), 0, (10, 20), box=(-3.0, 2.0, 5.0, 30.0)).inside()
    assert inside is not None and inside.sum() == 8 * 5 and inside[2:, :5].all()


def test_a_constant_map_is_as_dense_on_a_part_as_in_the_box() -> None:
    box, part = torch.zeros(8, 8, dtype=torch.bool), torch.zeros(8, 8, dtype=torch.bool)
    box[2:8, 2:8], part[2:4, 2:4] = True, True
    assert density(torch.ones(8, 8), part, box) == pytest.approx(1)
    assert density(part.float(), part, box) == pytest.approx(36 / 4)
    assert math.isnan(density(-torch.ones(8, 8), part, box))


def test_pointing_chooses_the_nearest_part_then_the_box() -> None:
    box = torch.zeros(6, 6, dtype=torch.bool)
    box[1:5, 1:5] = True
    masks = torch.zeros(2, 6, 6, dtype=torch.bool)
    masks[0, 1:4, 1:4], masks[1, 2:5, 2:5] = True, True
    found = Discs(("left eye", "beak"), masks, torch.tensor([[2.5, 2.5], [3.5, 3.5]]), box)

    def at(y: int, x: int) -> str:
        map = torch.zeros(6, 6)
        map[y, x] = 1
        return pointed(map, found)

    assert [at(2, 2), at(3, 3), at(1, 4), at(0, 0)] == ["eye", "beak", "bird", "outside"]


def test_first_matches_against_a_slow_ranking() -> None:
    random = torch.Generator().manual_seed(0)
    S = torch.randint(0, 6, (20, 9), generator=random).float()
    right, counts = (torch.rand(20, 9, generator=random) < share for share in (0.4, 0.8))
    for row, own, compared_, said in zip(S, right, counts, first_is_right(S, right, counts), strict=True):
        order = sorted((-float(row[j]), bool(own[j]), j) for j in range(9) if compared_[j])  # of equals, wrong first
        assert bool(said) == (bool(order) and order[0][1])


def test_episodes_never_show_the_query() -> None:
    labels = [i % 8 for i in range(48)]
    for query, ways, examples in episodes(labels, list(range(48)), 5, seed=0):
        assert ways[0] == labels[query] and len(set(ways)) == 5
        for way, own in zip(ways, examples, strict=True):
            assert query not in own and len(set(own)) == 5 and {labels[i] for i in own} == {way}

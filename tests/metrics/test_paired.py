"""Paired tests, by SciPy and by counting every flip; Holm's correction and effect sizes by their definitions."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foveal.metrics.paired import (
    DRAWS,
    EXACT,
    compare_pairs,
    d_z,
    differences,
    images_needed,
    rank_biserial,
    sign_flip_p,
    superiority,
)
from foveal.metrics.statistics import holm

SMALL = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=8)


@given(SMALL)
@settings(deadline=None)
def test_few_images_by_counting_every_flip(values: list[float]) -> None:
    d = np.array(values)
    flips = [
        abs(sum(sign * value for sign, value in zip(signs, d, strict=True)))
        for signs in product((1, -1), repeat=len(d))
    ]
    expected = np.mean([flip >= abs(d.sum()) for flip in flips])
    assert sign_flip_p(d[:, None])[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [3, 7, EXACT])
def test_few_images_by_scipy(n: int) -> None:
    d = np.random.default_rng(n).normal(0.4, 1, n)
    theirs = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(d[:, None])[0] == pytest.approx(theirs.pvalue, abs=1e-12)


def test_many_images_come_near_the_t_test_and_columns_do_not_matter_to_each_other() -> None:
    d = np.random.default_rng(0).normal(0.1, 1, (200, 6))
    p = sign_flip_p(d)
    assert np.allclose(p, stats.ttest_1samp(d, 0).pvalue, atol=0.02)
    assert sign_flip_p(d[:, [3]])[0] == p[3] and (p >= 1 / (DRAWS + 1)).all()


def test_the_order_of_images_a_scale_and_undefined_ones_change_nothing() -> None:
    d = np.random.default_rng(1).normal(0.5, 1, (9, 1))
    p = sign_flip_p(d)
    for other in (d[::-1], -d, d * 1e-9, np.vstack([d, [[math.nan]], [[0.0]]])):
        assert sign_flip_p(other) == pytest.approx(p, abs=1e-12)


def test_holm_by_its_definition() -> None:
    p = dict(enumerate(np.random.default_rng(2).random(7) ** 3))
    order = sorted(p, key=lambda key: p[key])
    for place, key in enumerate(order):
        steps = [(len(p) - k) * p[earlier] for k, earlier in enumerate(order[: place + 1])]
        assert holm(p)[key] == pytest.approx(min(1, max(steps)))
    assert holm({"one": 0.03}) == {"one": 0.03} and holm({}) == {}


def test_effect_sizes_are_those_of_scipy_and_change_sign_with_the_pair() -> None:
    rng = np.random.default_rng(3)
    d = rng.normal(0.3, 1, 15)
    assert d_z(d) == pytest.approx(stats.ttest_1samp(d, 0).statistic / math.sqrt(15))
    wilcoxon, total = stats.wilcoxon(d, alternative="greater").statistic, 15 * 16 / 2
    assert rank_biserial(d) == pytest.approx(2 * wilcoxon / total - 1)
    assert superiority(d) == np.mean(d > 0)
    for effect in (d_z, rank_biserial):
        assert effect(-d) == pytest.approx(-effect(d))
    assert superiority(-d) == pytest.approx(1 - superiority(d)) and rank_biserial(np.abs(d)) == 1


def test_effect_sizes_where_there_is_nothing_to_compare() -> None:
    same, one = np.zeros(4), np.array([0.2])
    assert (d_z(same), rank_biserial(same), superiority(same)) == (0, 0, 0.5)
    assert math.isnan(d_z(one)) and math.isnan(d_z(np.full(5, 0.1))) and superiority(one) == 1
    assert all(math.isnan(effect(np.array([]))) for effect in (d_z, rank_biserial, superiority))


@pytest.mark.parametrize("comparisons", [1, 2, 3, 10, 45, 190])
def test_the_fewest_images_with_which_a_test_can_decide(comparisons: int) -> None:
    """All differences of one sign are the strongest evidence that there is."""
    n = images_needed(comparisons)
    best, before = (sign_flip_p(np.ones((k, 1)))[0] * comparisons for k in (n, n - 1))
    assert best < 0.05 <= before
    assert images_needed(1) == 6


def test_all_pairs_their_direction_and_ties_of_rounding() -> None:
    rng = np.random.default_rng(4)
    base = rng.random(20)
    values = {"a": base, "b": base + 0.2 + rng.normal(0, 0.02, 20), "c": base * (1 + 1e-9), "d": np.full(20, math.nan)}
    found = {(pair.a, pair.b): pair for pair in compare_pairs(values, "deletion", sign=-1)}
    assert len(found) == 6 and all(pair.metric == "deletion" for pair in found.values())
    better, tie, nothing = found["a", "b"], found["a", "c"], found["a", "d"]
    assert better.difference < 0 and better.low < better.difference < better.high < 0
    assert better.superiority == better.rank_biserial == 1 and better.d_z > 1 and better.p_holm < 0.01
    assert (tie.difference, tie.p, tie.superiority, tie.rank_biserial, tie.d_z) == (0, 1, 0.5, 0, 0)
    assert nothing.n == 0 and nothing.p == 1 and math.isnan(nothing.difference)
    assert {key: pair.p_holm for key, pair in found.items()} == holm({key: pair.p for key, pair in found.items()})
    assert compare_pairs({"a": base}, "deletion") == []
    assert np.isnan(differences([math.inf, 1.0], [1.0, math.nan])).all()

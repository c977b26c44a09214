"""Statistics against SciPy, slow definitions and cases whose answer is plain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foveal.metrics.paired import sign_flip_p
from foveal.metrics.statistics import agreement, difference, holm, kendall, pearson, ranked, spearman, summary


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=20))
def test_correlations_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, float).T
    assert ranked(a).tolist() == stats.rankdata(a).tolist()
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert math.isnan(pearson(a, b)) and math.isnan(spearman(a, b)) and math.isnan(kendall(a, b))
        return
    assert pearson(a, b) == pytest.approx(stats.pearsonr(a, b)[0])
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b)[0])
    assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b)[0])


def test_undefined_values_are_counted_and_left_out() -> None:
    found = summary([1.0, math.nan, 3.0, math.nan])
    assert (found.mean, found.n, found.undefined) == (2.0, 2, 2) and "2 undefined" in str(found)
    assert summary([math.nan]).n == 0 and summary([4.0]).mean == 4 and math.isnan(summary([4.0]).low)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for k in range(200):
        found = summary(random.normal(5, 2, 40), seed=k, resamples=500)
        covered += found.low <= 5 <= found.high
    assert 180 <= covered <= 199


def test_a_difference_is_found_and_none_is_not() -> None:
    random = np.random.default_rng(1)
    a = random.normal(0, 1, 40)
    assert sign_flip_p((0.5 + random.normal(0, 0.2, 40))[:, None])[0] < 0.001
    p = sign_flip_p(random.normal(0, 0.2, (40, 200)))
    assert 0.01 <= np.mean(p < 0.05) <= 0.1 and sign_flip_p((a - a)[:, None])[0] == 1


def test_holm() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({}) == {}


def slow_alpha(ranks: np.ndarray) -> float:
    """1 − observed / expected disagreement, pair by pair, ordinal distances (Krippendorff)."""
    values = [(r, item) for row in ranks for item, r in enumerate(row) if np.isfinite(r)]
    counts = {v: sum(1 for w, _ in values if w == v) for v, _ in values}

    def distance(a: float, b: float) -> float:
        low, high = min(a, b), max(a, b)
        between = sum(n for v, n in counts.items() if low <= v <= high)
        return float((between - (counts[low] + counts[high]) / 2) ** 2) if a != b else 0.0

    observed = 0.0
    for item in range(ranks.shape[1]):
        own = [v for v, at in values if at == item]
        observed += sum(distance(a, b) for i, a in enumerate(own) for j, b in enumerate(own) if i != j) / (len(own) - 1)
    n = len(values)
    expected = sum(distance(a, b) for i, (a, _) in enumerate(values) for j, (b, _) in enumerate(values) if i != j)
    return 1 - observed / (expected / (n - 1))


def test_agreement_of_pictures_about_methods() -> None:
    same = np.tile(np.array([0.1, 0.5, 0.9, 0.7]), (6, 1))
    assert agreement(same) == pytest.approx(1)
    random = np.random.default_rng(0)
    assert abs(agreement(random.random((60, 5)))) < 0.1
    noisy = same + random.normal(0, 0.2, same.shape)
    noisy[0, 0] = np.nan
    ranks = np.array([np.where(np.isfinite(row), stats.rankdata(row, nan_policy="omit"), np.nan) for row in noisy])
    assert agreement(noisy) == pytest.approx(slow_alpha(ranks))


def test_a_difference_of_two_sets_is_that_of_their_means() -> None:
    """Its interval holds the true difference about as often as it says, whichever set is larger."""
    random, held = np.random.default_rng(0), 0
    for k in range(200):
        a, b = random.normal(5, 2, 40), random.normal(3, 1, 15)
        found = difference(a, b, seed=k, resamples=500)
        assert found.mean == pytest.approx(a.mean() - b.mean()) and found.n == 55
        held += found.low <= 2 <= found.high
    assert 0.88 <= held / 200 <= 0.99
    alone = difference([1.0, math.nan], [3.0, 4.0])
    assert (alone.mean, alone.n, alone.undefined) == (-2.5, 3, 1) and math.isnan(alone.low)
    assert math.isnan(difference([], [1.0]).mean)

"""A minority that shares one thing is found among many features, and none where decisions differ by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foveal.runs.minority import FEWEST, MOST, SHARE, best_splits, clear_minorities, minority


def noise(n: int, d: int, seed: int) -> NDArray[np.float64]:
    """Features of a few factors, heavier on one side, as activations are."""
    random = np.random.default_rng(seed)
    factors = random.normal(size=(n, 6)) @ random.normal(size=(6, d)) / 4
    return np.exp(0.5 * (factors + random.normal(size=(n, d))))


def by_hand(values: NDArray[np.float64], least: int) -> tuple[float, set[int]]:
    """The best split, by trying each."""
    order, best = np.argsort(values, kind="stable"), (-np.inf, set[int]())
    for count in range(least, int(MOST * len(values)) + 1):
        low, high = values[order[:-count]], values[order[-count:]]
        W = ((low - low.mean()) ** 2).sum() + ((high - high.mean()) ** 2).sum()
        p = count / len(values)
        gain = -0.5 * np.log(W / ((values - values.mean()) ** 2).sum()) + p * np.log(p) + (1 - p) * np.log(1 - p)
        best = max(best, (float(gain), set(order[-count:].tolist())), key=lambda one: one[0])
    return best


@settings(max_examples=20, deadline=None)
@given(st.integers(10, 40), st.integers(0, 1000))
def test_the_best_split_is_that_of_trying_each(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(n, 3))
    gains, sides = best_splits(values, 3)
    for k in range(3):
        gain, own = by_hand(values[:, k], 3)
        assert gains[k] == pytest.approx(gain) and set(np.flatnonzero(sides[:, k]).tolist()) == own


def test_halves_of_a_normal_and_of_a_uniform_distribution_gain_what_theory_says() -> None:
    random = np.random.default_rng(0)
    gains, _ = best_splits(np.stack([random.normal(size=20_000), random.uniform(size=20_000)], 1), 9_990)
    assert gains == pytest.approx([-0.5 * np.log(1 - 2 / np.pi) - np.log(2), 0], abs=0.02)


@pytest.mark.parametrize(("members", "strength"), [(9, 5), (30, 4)])
def test_what_shows_in_no_distance_is_found(members: int, strength: float) -> None:
    """Six features of 200 differ; along no principal component does the minority lie apart."""
    features = noise(90, 200, seed=1)
    for channel in range(0, 200, 35):
        features[:members, channel] += strength * features[:, channel].std()
    (own,), left = clear_minorities(features, most=5)
    assert own.tolist() == list(range(members)) and left.tolist() == list(range(members, 90))
    points = (features - features.mean(0)) / features.std(0)
    for values in np.linalg.svd(points, full_matrices=False)[0][:, :6].T:
        there, elsewhere = values[:members], values[members:]
        assert abs(there.mean() - elsewhere.mean()) < 2 * elsewhere.std()


def test_one_after_the_other() -> None:
    features = noise(100, 60, seed=2)
    for own, channels in ((range(30), (5, 35, 50)), (range(30, 42), (2, 20, 45, 55))):
        for channel in channels:
            features[list(own), channel] += 8 * features[:, channel].std()
    found, left = clear_minorities(features[:, :30], features[:, 30:], most=5)
    assert {tuple(sorted(own.tolist())) for own in found} == {tuple(range(30)), tuple(range(30, 42))}
    assert left.tolist() == list(range(42, 100))
    assert len(clear_minorities(features, most=1)[0]) == 1 and clear_minorities(features, most=0)[0] == []


@pytest.mark.parametrize(("n", "d"), [(14, 30), (25, 300), (60, 30), (60, 300), (200, 40), (50, 2000)])
def test_chance_alone_makes_no_clear_minority(n: int, d: int) -> None:
    assert not [seed for seed in range(12) if clear_minorities(noise(n, d, seed), most=3)[0]]


def test_sizes_units_and_what_cannot_be_split() -> None:
    assert minority(np.zeros((40, 3))) is None and minority(noise(8, 3, 0)) is None
    rounded = np.float32(0.1) + np.float32(7e-9) * np.random.default_rng(0).integers(-1, 2, (60, 9))
    assert minority(np.full((40, 3), 0.1)) is None and minority(rounded) is None
    features = noise(70, 50, seed=4)
    features[:12, 0] += 9 * features[:, 0].std()
    one, other = minority(features[:, :25], features[:, 25:]), minority(1000 * features[:, :25], features[:, 25:])
    assert one is not None and other is not None and np.array_equal(one.own, other.own)
    assert one.gain == pytest.approx(other.gain) and one.clear
    assert max(FEWEST, round(SHARE * 70)) <= one.own.sum() <= MOST * 70
    again = minority(features[::-1, :25].astype(np.float32), features[::-1, 25:])
    assert again is not None and np.array_equal(again.own, one.own[::-1])

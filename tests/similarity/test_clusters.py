"""Groups of points: planted ones are found, in their number, and a library that is missing is named."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from foveal.errors import MissingExtra
from foveal.similarity.clusters import best_k_means, k_means


def planted(k: int, each: int = 8) -> tuple[np.ndarray, list[int]]:  # type: ignore[type-arg]
    random = np.random.default_rng(0)
    middles = 10 * np.eye(k, 5)
    truth = [c for c in range(k) for _ in range(each)]
    return middles[truth] + random.standard_normal((k * each, 5)), truth


@pytest.mark.parametrize("k", [2, 3, 4])
def test_planted_groups_are_found_in_their_number(k: int) -> None:
    points, truth = planted(k)
    assert adjusted_rand_score(truth, k_means(points, k)) == 1
    assert adjusted_rand_score(truth, best_k_means(points, most=6, least=0.1)) == 1


def test_what_does_not_lie_apart_is_one_group() -> None:
    points = np.random.default_rng(1).standard_normal((30, 5))
    assert not best_k_means(points, most=3, least=0.9).any()
    assert not best_k_means(np.ones((6, 2)), most=3, least=0.1).any()
    assert not k_means(np.ones((6, 2)), 3).any()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(MissingExtra, match=r"foveal\[sklearn\]"):
        k_means(np.eye(3), 2)

"""Rank-1, CMC and average precision, written a second time and compared."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.metrics.retrieval import average_precision, first_right, ranked_references, wilson


@given(st.lists(st.booleans(), max_size=30))
def test_average_precision_is_the_mean_of_the_precisions_at_right_ranks(right: list[bool]) -> None:
    precisions = [sum(right[: rank + 1]) / (rank + 1) for rank, hit in enumerate(right) if hit]
    if not precisions:
        assert math.isnan(average_precision(right)) and first_right(right) is None
        return
    assert average_precision(right) == pytest.approx(sum(precisions) / len(precisions))
    assert first_right(right) == right.index(True) + 1


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.booleans()), min_size=1, max_size=20), st.randoms())
def test_the_order_of_references_changes_no_number(rows: list[tuple[int, bool, bool]], random: object) -> None:
    def hits(rows: list[tuple[int, bool, bool]]) -> list[bool]:
        similarity, right, compared = (np.array(column) for column in zip(*rows, strict=True))
        order = ranked_references(similarity.astype(float), right, compared, np.arange(len(rows)))
        assert len(order) == compared.sum() and sorted(order) == list(np.flatnonzero(compared))
        assert all(similarity[a] >= similarity[b] for a, b in pairwise(order))
        return [bool(right[j]) for j in order]

    shuffled = [*rows]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert hits(rows) == hits(shuffled)


def test_a_tie_counts_as_wrong() -> None:
    order = ranked_references(np.array([1.0, 1.0]), np.array([True, False]), np.array([True, True]), np.arange(2))
    assert order == [1, 0]


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (28, 40)])
def test_wilsons_ends_solve_its_equation(hits: int, n: int) -> None:
    for end in wilson(hits, n):
        assert abs(end - hits / n) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / n), abs=1e-9)
    assert all(math.isnan(end) for end in wilson(0, 0))

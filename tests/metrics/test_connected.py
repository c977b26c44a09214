"""The largest part that hangs together: as scipy labels it, and as painting by hand finds it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from foveal.metrics.connected import largest_part
from foveal.metrics.placement import box_of


def by_scipy(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of equal parts the one whose last place comes first."""
    named, count = ndimage.label(mask, np.ones((3, 3)))
    parts = [named == k for k in range(1, count + 1)]
    return min(parts, key=lambda part: (-part.sum(), np.flatnonzero(part)[-1]), default=mask)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@settings(max_examples=300, deadline=None)
def test_it_is_what_scipy_labels(mask: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(largest_part(torch.from_numpy(mask)).numpy(), by_scipy(mask))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.4, 0.5, 0.6, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_blobs_of_every_density(share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((97, 131)) < share
    np.testing.assert_array_equal(largest_part(torch.from_numpy(mask)).numpy(), by_scipy(mask))


def winding(side: int) -> NDArray[np.bool_]:
    """One path, back and forth through the whole picture."""
    mask = np.zeros((side, side), bool)
    mask[::2] = True
    mask[1::4, -1], mask[3::4, 0] = True, True
    return mask


def spiral(side: int) -> NDArray[np.bool_]:
    mask, y, x, step = np.zeros((side, side), bool), 0, 0, (0, 1)
    mask[0, 0] = True
    for length in [side - 1, *[n for k in range(side - 1, 0, -2) for n in (k, k)]]:
        for _ in range(length):
            y, x = y + step[0], x + step[1]
            mask[y, x] = True
        step = (step[1], -step[0])
    return mask


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("made", [winding, spiral])
def test_long_paths_are_one_part(made, turn: int) -> None:  # type: ignore[no-untyped-def]
    mask = np.rot90(made(61), turn).copy()
    np.testing.assert_array_equal(largest_part(torch.from_numpy(mask)).numpy(), by_scipy(mask))
    assert np.array_equal(largest_part(torch.from_numpy(mask)).numpy(), mask)


def test_corners_touch_and_the_edges_of_rows_do_not() -> None:
    diagonal = np.eye(9, dtype=bool)
    assert largest_part(torch.from_numpy(diagonal)).sum() == 9
    assert largest_part(torch.from_numpy(diagonal[::-1].copy())).sum() == 9
    edges = np.zeros((4, 5), bool)
    edges[0, 4] = edges[1, 0] = edges[2, 4] = True  # neighbors in memory only
    assert largest_part(torch.from_numpy(edges)).sum() == 1


def test_nothing_and_everything() -> None:
    for shape in ((1, 1), (3, 4)):
        assert not largest_part(torch.zeros(shape, dtype=torch.bool)).any()
        assert largest_part(torch.ones(shape, dtype=torch.bool)).all()
    assert box_of(torch.zeros(3, 3)) == (0, 0, 0, 0)

"""Maps as bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from foveal.datasets.packing import pack, unpack
from foveal.errors import ResultError

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(arrays(np.float32, array_shapes(max_dims=3, max_side=5), elements=FLOATS))
def test_cells_come_back_to_a_thousandth_and_special_ones_exactly(map: np.ndarray) -> None:
    content, scale, shape = pack(map)
    again = unpack(content, float(scale), shape)
    assert again.shape == map.shape and again.dtype == np.float32 and len(content) == 2 * map.size
    finite = np.isfinite(map)
    assert np.array_equal(again[~finite], map[~finite], equal_nan=True)
    assert np.all(again[map == 0] == 0)
    if finite.any():
        largest = np.abs(map[finite].astype(float)).max()
        assert np.abs(again[finite].astype(float) - map[finite]).max() <= 1e-3 * largest


@given(arrays(np.float32, (3, 2), elements=FLOATS))
def test_32_bits_keep_every_bit(map: np.ndarray) -> None:
    content, scale, shape = pack(map, "float32")
    assert unpack(content, float(scale), shape, "float32").tobytes() == map.tobytes()


def test_bytes_are_little_endian_rows_of_the_map_over_its_largest() -> None:
    content, scale, shape = pack([[1.0, -4.0], [0.0, 2.0]])
    assert np.frombuffer(content, "<f2").tolist() == [0.25, -1.0, 0.0, 0.5] and (scale, shape) == (4.0, (2, 2))
    with pytest.raises(ResultError, match="was changed"):
        unpack(content[:-1], 4.0, (2, 2))

from __future__ import annotations

import numpy as np
import pytest

from foveal.images import Geometry, Preprocessing
from foveal.render.alt_text import describe_map

SQUARE = Geometry.identity((90, 90))


@pytest.mark.parametrize(
    ("cell", "place"),
    [((0, 0), "at the top left"), ((1, 1), "in the middle"), ((2, 1), "at the bottom"), ((1, 2), "at the right")],
)
def test_it_names_the_place(cell: tuple[int, int], place: str) -> None:
    map = np.zeros((3, 3))
    map[cell] = 2
    words = describe_map(map, SQUARE)
    assert f"lies {place};" in words and "values 0 to 2" in words and "11 %" in words


def test_the_place_is_on_the_photo_not_on_the_crop() -> None:
    left_of_crop = np.array([[1.0, 0.0, 0.0]])
    geometry = Preprocessing((10, 10)).geometry((10, 90))  # the crop is the middle of a wide photo
    assert "in the middle" in describe_map(left_of_crop, geometry)


def test_it_names_the_sign_and_what_is_missing() -> None:
    assert "against" in describe_map(np.array([[-3.0, 1.0]]), SQUARE)
    assert "in favor" in describe_map(np.array([[-3.0, 4.0]]), SQUARE)
    assert describe_map(np.zeros((2, 2)), SQUARE) == "No evidence: all values are zero."
    assert "not numbers" in describe_map(np.full((2, 2), np.nan), SQUARE)


def test_half_of_an_even_map_is_half_of_its_cells() -> None:
    assert "50 %" in describe_map(np.ones((4, 4)), SQUARE)

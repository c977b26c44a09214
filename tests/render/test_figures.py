from __future__ import annotations

import numpy as np
from PIL import Image

from foveal.render.figures import grid

RED, BLUE = Image.new("RGB", (40, 40), "red"), Image.new("RGB", (80, 40), "blue")


def where(sheet: Image.Image, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The bounding box of a color."""
    rows, columns = np.nonzero((np.asarray(sheet) == color).all(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_cells_are_aligned_and_keep_their_proportions() -> None:
    sheet = grid(
        [[RED, BLUE], [None, RED]], columns=["one", "two"], rows=["a\nb", "c"], title="t", caption="c", side=80
    )
    x0, y0, x1, y1 = where(sheet, (0, 0, 255))
    assert (x1 - x0, y1 - y0) == (80, 40)
    left, top, right, _ = where(sheet, (255, 0, 0))
    assert top == y0 and right == x1  # first row on one line, last column on one edge
    assert left + 80 < x0


def test_words_take_room_and_nothing_is_cut_off() -> None:
    bare = grid([[RED]], side=80)
    full = grid([[RED]], side=80, title="A title", caption="A caption " * 20, columns=["c"], rows=["r"])
    assert full.height > bare.height and full.width > bare.width
    edge = np.asarray(full).astype(int)
    assert (edge[-3:] == 255).all() and (edge[:, -3:] == 255).all() and (edge[:3] == 255).all()


def test_a_row_is_as_high_as_its_words_need() -> None:
    flat = Image.new("RGB", (80, 5), "red")
    sheet = grid([[flat], [flat]], rows=["a rather long\nlabel of\nmany lines", ""], side=80)
    upper, lower = (np.flatnonzero((np.asarray(sheet) == (255, 0, 0)).all(axis=2).any(axis=1))[k] for k in (0, -5))
    assert lower - upper > 30


def test_an_empty_grid_is_a_blank_sheet() -> None:
    assert (np.asarray(grid([])) == 255).all()

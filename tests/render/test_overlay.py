from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from foveal.images import Photo, Preprocessing, load_images
from foveal.render import text
from foveal.render.overlay import draw_overlay, fit

GRAY = np.full((120, 200, 3), 128, np.uint8)
WHOLE = load_images(GRAY, Preprocessing((60, 100), resize="exact")).photos[0]
CROPPED = load_images(GRAY, Preprocessing((60, 60))).photos[0]  # sees columns 40..160


def planted(value: float = 1.0) -> np.ndarray:  # type: ignore[type-arg]
    map = np.zeros((6, 10))
    map[1, 7] = value
    return map


def pixels(photo: Photo, map: Any, **options: Any) -> Any:
    return np.asarray(draw_overlay(photo, map, color_bar=False, **options)).astype(int)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts drawn, in order."""
    texts: list[str] = []
    draw = ImageDraw.ImageDraw.text

    def record(self: Any, at: Any, words: str, *args: Any, **kwargs: Any) -> None:
        texts.append(words)
        draw(self, at, words, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    return texts


def test_the_picture_has_the_photos_size_and_the_bar_stands_beside_it() -> None:
    assert draw_overlay(WHOLE, planted(), color_bar=False).size == (200, 120)
    with_bar = draw_overlay(WHOLE, planted())
    assert with_bar.height >= 256 and with_bar.width > with_bar.height * 200 / 120  # enlarged to be read
    large = load_images(np.zeros((300, 400, 3), np.uint8), Preprocessing((8, 8))).photos[0]
    assert draw_overlay(large, planted()).height == 300


def test_color_appears_where_the_evidence_is_and_only_there() -> None:
    drawn = pixels(WHOLE, planted())
    ground = drawn[-1, 0]
    changed = np.abs(drawn - ground).sum(axis=2)
    y, x = np.unravel_index(changed.argmax(), changed.shape)
    assert 20 <= y < 40 and 140 <= x < 160  # cell (1, 7) of 6×10 on 120×200
    assert changed[:, :130].max() == 0
    assert ground[0] == ground[1] == ground[2]  # the photo itself, gray


def test_more_evidence_covers_more() -> None:
    map = np.linspace(0, 1, 10)[None].repeat(6, axis=0)
    row = pixels(WHOLE, map)[60]
    away = np.abs(row - row[0]).sum(axis=1)
    assert away[100] > away[50] > away[20] > 0


def test_alpha_is_the_cover_of_the_strongest_evidence() -> None:
    assert (pixels(WHOLE, planted(), alpha=0) == pixels(WHOLE, planted(2.0), alpha=0)).all()
    weak, strong = (np.ptp(pixels(WHOLE, planted(), alpha=a), axis=2).max() for a in (0.2, 0.9))
    assert strong > weak > 0


def test_the_sign_has_a_color() -> None:
    both = planted() - planted()[::-1, ::-1]  # against at cell (4, 2)
    drawn = pixels(WHOLE, both)
    assert drawn[30, 150, 0] > drawn[30, 150, 2] + 50  # red over blue: in favor
    assert drawn[90, 50, 2] > drawn[90, 50, 0] + 50  # blue over red: against
    only = pixels(WHOLE, both, sign="positive")
    assert np.ptp(only[90, 50]) == 0
    against = pixels(WHOLE, both, sign="negative")
    assert np.ptp(against[30, 150]) == 0 and against[90, 50, 2] > against[90, 50, 0] + 50


def test_a_common_limit_makes_pictures_comparable() -> None:
    free, fixed = pixels(WHOLE, planted(0.5)), pixels(WHOLE, planted(0.5), limit=1.0)
    np.testing.assert_array_equal(free, pixels(WHOLE, planted()))
    assert (free != fixed).any()


def test_what_was_cropped_away_is_dimmed_hatched_and_outlined() -> None:
    drawn = pixels(CROPPED, np.zeros((2, 2)) + 1e-9)
    outside, inside = drawn[60:70, :38], drawn[60:70, 60:140]
    assert outside.mean() < 128 * 0.75
    assert len(np.unique(outside)) > 1  # hatched
    assert inside.mean() != pytest.approx(outside.mean(), abs=20)
    assert drawn[60, 39].mean() > outside.max()  # the line


def test_the_bar_carries_the_raw_values(said: list[str]) -> None:
    draw_overlay(WHOLE, planted(0.73))
    assert said == ["0", "0.365", "0.73"]
    said.clear()
    draw_overlay(WHOLE, planted() - 3 * planted()[::-1])
    assert said == ["-3", "0", "3"]
    said.clear()
    draw_overlay(WHOLE, planted(7.0), limit=2.0)
    assert said == ["0", "1", "> 2"]
    said.clear()
    draw_overlay(WHOLE, -planted(7.0), sign="negative", limit=2.0)
    assert said == ["0", "-1", "< -2"]


@pytest.mark.parametrize(
    ("map", "options", "words"),
    [
        (np.zeros((3, 3)), {}, "no evidence: all values are zero"),
        (np.full((3, 3), np.nan), {}, "9 of 9 values are not numbers"),
        (np.array([[1.0, np.inf]]), {}, "1 of 2 values are not numbers"),
        (np.full((3, 3), -2.0), {"sign": "positive"}, "no positive evidence"),
        (np.full((3, 3), 2.0), {"sign": "negative"}, "no negative evidence"),
    ],
)
def test_a_blank_or_broken_map_is_said_on_the_picture(map: Any, options: Any, words: str, said: list[str]) -> None:
    picture = draw_overlay(WHOLE, map, **options)
    assert words in " ".join(said)
    assert (np.asarray(picture).max(axis=2) > 200).any() and (np.asarray(picture).max(axis=2) < 50).any()


def test_a_constant_map_is_drawn_not_divided_by_zero() -> None:
    drawn = pixels(WHOLE, np.full((3, 3), 4.0))
    assert (drawn == drawn[0, 0]).all() and np.ptp(drawn[0, 0]) > 50


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2), (28, 28)])
def test_tiny_photos_can_be_drawn(size: tuple[int, int]) -> None:
    photo = load_images(np.zeros((*size, 3), np.uint8), Preprocessing((8, 8), resize="exact")).photos[0]
    assert draw_overlay(photo, np.eye(2)).height > 5
    assert draw_overlay(photo, np.zeros((2, 2)), color_bar=False).size == size[::-1]


def test_a_tensor_with_a_graph_in_half_precision() -> None:
    map = torch.tensor(planted(), dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(pixels(WHOLE, map), pixels(WHOLE, planted()))


@pytest.mark.parametrize("side", [50, 333])
def test_fitting_a_photo_keeps_every_point_in_its_place(side: int) -> None:
    fitted = fit(CROPPED, side)
    height, width = fitted.geometry.photo_size
    assert max(height, width) == side and fitted.pixels.shape == (height, width, 3)
    x0, y0, x1, y1 = CROPPED.geometry.seen
    np.testing.assert_allclose(
        fitted.geometry.seen, [x0 * width / 200, y0 * height / 120, x1 * width / 200, y1 * height / 120]
    )
    assert fit(CROPPED, 200) is CROPPED


def test_what_the_font_lacks_is_replaced_by_what_it_has() -> None:
    assert text.drawable("a − b × é ß 50 % →") == "a - b x e ss 50 % >"
    assert text.drawable("中") == "?"


def test_lines_fit_their_width() -> None:
    words = "a rather long sentence with an unbelievablylongwordthatfitsnowhere in it"
    lines = text.wrap(words, 14, 120)
    assert len(lines) > 3 and all(text.font(14).getlength(line) <= 120 for line in lines)
    assert any("…" in line for line in lines)
    assert text.wrap("", 14, 100) == []


def test_the_callers_photo_is_not_drawn_on() -> None:
    before = WHOLE.pixels.copy()
    draw_overlay(WHOLE, planted())
    np.testing.assert_array_equal(WHOLE.pixels, before)
    assert isinstance(draw_overlay(WHOLE, planted()), Image.Image)


def test_a_colormap_by_its_name() -> None:
    ends = [draw_overlay(WHOLE, planted(), colors=colors) for colors in (None, "viridis")]
    assert ends[0].size == ends[1].size and np.any(np.asarray(ends[0]) != np.asarray(ends[1]))
    bar = np.asarray(ends[1])[:, ends[1].width // 2 :].reshape(-1, 3).tolist()
    assert [253, 231, 37] in bar  # the last color of viridis

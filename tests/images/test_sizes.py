"""Remarks on images that are tiny, huge or long, and on files of real numbers beyond 0 to 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from foveal.errors import ImageError
from foveal.images import Preprocessing, load_images
from foveal.images.size_notes import size_notes

SQUARE = Preprocessing(size=(224, 224), resize_to=256)


@pytest.mark.parametrize(
    ("size", "resize", "words"),
    [
        ((1, 1), "short", ["1×1 pixels, enlarged 256 times"]),
        ((3, 2000), "short", ["2000×3 pixels, enlarged 85.3 times", "sees the central 0.11 %"]),
        ((9000, 12000), "short", ["12000×9000 pixels, reduced 35.2 times"]),
        ((500, 1500), "short", ["sees the central 26 %"]),
        ((500, 1500), "exact", ["squeezed to 224×224"]),
        ((500, 1500), "pad", []),
        ((480, 640), "short", []),
        ((480, 640), "exact", []),
        ((64, 64), "short", []),
    ],
)
def test_what_is_said(size: tuple[int, int], resize: Any, words: list[str]) -> None:
    notes = size_notes(Preprocessing(size=(224, 224), resize=resize, resize_to=256).geometry(size))
    assert len(notes) == len(words) and all(word in note for word, note in zip(words, notes, strict=True))


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from(["exact", "pad", "short"]))
def test_every_size_is_judged_by_its_scale(h: int, w: int, resize: Any) -> None:
    geometry = Preprocessing(size=(100, 100), resize=resize).geometry((h, w))
    notes = " ".join(size_notes(geometry))
    assert ("enlarged" in notes) == (max(geometry.scale) >= 8)
    assert ("sees the central" in notes) == (resize == "short" and max(h, w) > 2 * min(h, w) and "central" in notes)


def test_the_remark_is_on_the_photo(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), "red").save(tmp_path / "dot.png")
    assert "1×1 pixels, enlarged 256 times" in load_images(tmp_path / "dot.png", SQUARE).photos[0].notes


def test_reals_of_a_file_that_fill_8_or_16_bits_are_stretched_with_a_remark(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "unit.tif")
    plain = load_images(tmp_path / "unit.tif", SQUARE)
    for white in (255, 65535):
        Image.fromarray(ramp * white).save(tmp_path / "wide.tif")
        wide = load_images(tmp_path / "wide.tif", SQUARE)
        assert np.allclose(wide.tensor, plain.tensor, atol=1e-4)
        assert any(f"black is 0 and white {white:g}" in note for note in wide.photos[0].notes)
    assert not any("white" in note for note in plain.photos[0].notes)


@pytest.mark.parametrize(("low", "high", "hint"), [(-5, 3, r"\(pixels \+ 5\) / 8"), (0, 3, "pass pixels / 3")])
def test_other_reals_say_what_to_do(tmp_path: Path, low: float, high: float, hint: str) -> None:
    values = np.linspace(low, high, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "x.tif")
    for image in (tmp_path / "x.tif", values):
        with pytest.raises(ImageError, match=hint):
            load_images(image, SQUARE)


def test_arrays_of_reals_up_to_255_say_what_to_do() -> None:
    with pytest.raises(ImageError, match="divide them by 255"):
        load_images(np.linspace(0, 200, 64, dtype=np.float32).reshape(8, 8), SQUARE)

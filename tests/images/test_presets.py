"""Preprocessing by name, by a few numbers, and from files with mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.errors import ImageError, UnknownName
from foveal.images import Preprocessing
from foveal.images.preprocessing_file import read_preprocessing


def test_names() -> None:
    assert Preprocessing.named("imagenet") == Preprocessing(size=(224, 224), resize_to=256)
    gray = Preprocessing.named("gray")
    assert gray.channels == "L" and gray == Preprocessing.named("grey") and len(gray.mean) == len(gray.std) == 1
    for wrong, hint in (("imagnet", "did you mean imagenet?"), ("greyscale", "did you mean gr"), ("x", "names are")):
        with pytest.raises(ImageError, match=hint) as raised:
            Preprocessing.named(wrong)
        assert isinstance(raised.value, UnknownName)


@given(st.integers(1, 600), st.integers(1, 600), st.floats(0, 1), st.floats(0.01, 2))
def test_changes(h: int, w: int, mean: float, std: float) -> None:
    changed = Preprocessing.named("imagenet", (h, w), mean=mean, std=[std])
    assert changed.size == (h, w) and changed.mean == (mean,) * 3 and changed.std == (std,) * 3
    assert changed.resize_to == round(256 * min(h, w) / 224)
    assert Preprocessing.named("gray", h).size == (h, h)
    assert Preprocessing.from_dict(json.loads(changed.to_json())) == changed


def test_as_many_numbers_as_channels() -> None:
    with pytest.raises(ImageError, match="mean must be 1"):
        Preprocessing.named("gray", mean=(0.1, 0.2, 0.3))
    with pytest.raises(ImageError, match="std must be 3"):
        Preprocessing.named("imagenet", std=(0.1, 0.2))


def test_files(tmp_path: Path) -> None:
    def read(text: str) -> Preprocessing:
        (tmp_path / "p.json").write_text(text)
        return read_preprocessing(str(tmp_path / "p.json"))

    wanted = Preprocessing.named("gray", 48)
    assert read(wanted.to_json()) == wanted
    assert read_preprocessing("grey") == Preprocessing.named("gray")
    for text, problem in (
        ('{"size": [8, 8],\n "mean" [0]}', r"line 2, column 9: Expecting ':' delimiter"),
        ('{"size": [8, 8],\n "chanels": "L"}', r"unknown field 'chanels'; did you mean 'channels'\?"),
        ('{"size": [8, 8], "qqqq": 1}', r"unknown field 'qqqq'; the fields are size, resize"),
        ('{"channels": "L"}', r'add "size": \[height, width\]'),
        ("", r"line 1, column 1"),
    ):
        with pytest.raises(ImageError, match=problem):
            read(text)
    with pytest.raises(ImageError, match=r"nowhere\.json.*give imagenet, gray or a JSON file"):
        read_preprocessing(str(tmp_path / "nowhere.json"))

"""Names in any script are drawn in a font that has their letters, or it is said that none has them."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from foveal.errors import FovealWarning
from foveal.render import fonts, text

INK = (0, 0, 0)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No font of one's own, none known; afterwards what was found is forgotten."""
    monkeypatch.delenv("FOVEAL_FONT", raising=False)
    forget()
    yield
    forget()


def forget() -> None:
    for cached in (fonts._read, fonts._candidates, text._runs):
        cached.cache_clear()
    fonts._found.clear()
    fonts._absent.clear()


@pytest.fixture
def dejavu(tmp_path: Path) -> Path:
    """A font with Cyrillic, Greek and Arabic letters, and none of East Asia."""
    found = util.find_spec("matplotlib")
    if found is None or found.origin is None:
        pytest.skip("matplotlib, which brings a font, is not installed")
    place = tmp_path / "fonts" / "deep"
    place.mkdir(parents=True)
    shutil.copy(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", place)
    return place / "DejaVuSans.ttf"


def on_system(folder: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_folders", lambda: [folder] if folder else [])
    forget()


def drawn(words: str, *, anchor: str = "la", at: tuple[float, float] = (10, 10)) -> NDArray[np.uint8]:
    page = Image.new("RGB", (400, 60), "white")
    text.write(ImageDraw.Draw(page), at, words, 20, ink=INK, anchor=anchor)
    return np.asarray(page)


def by_hand(words: str, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    page = Image.new("RGB", (400, 60), "white")
    primary = (*fonts.own_faces(), fonts.BUILT_IN)[0].at(20)
    ImageDraw.Draw(page).text((10, 10 + primary.getmetrics()[0]), words, font=font, fill=INK, anchor="ls")
    return np.asarray(page)


@pytest.mark.parametrize("words", ["Снегирь", "Καρδερίνα", "Café Jiří", "בולבול", "البلبل"])
def test_the_bundled_font_comes_before_those_of_the_system(
    words: str, dejavu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_system(dejavu.parents[1], monkeypatch)
    np.testing.assert_array_equal(drawn(words), by_hand(words, fonts.BUNDLED.at(20)))


@pytest.mark.parametrize("words", ["plain jay (17)", "a - b x c", "", "100 % of it?"])
def test_plain_words_stay_in_the_built_in_font(words: str, dejavu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_system(dejavu.parents[1], monkeypatch)
    np.testing.assert_array_equal(drawn(words), by_hand(words, fonts.BUILT_IN.at(20)))


def test_a_font_of_ones_own_comes_first(dejavu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_system(None, monkeypatch)
    monkeypatch.setenv("FOVEAL_FONT", str(dejavu))
    for words in ("jay", "Снегирь (3)", "a − b"):
        np.testing.assert_array_equal(drawn(words), by_hand(words, ImageFont.truetype(str(dejavu), 20)))
    monkeypatch.setenv("FOVEAL_FONT", os.pathsep.join([str(dejavu), str(dejavu)]))
    assert len(fonts.own_faces()) == 2


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("中文鸟", "CJK letters"),
        ("jay 한국어", "Hangul letters"),
        ("नीलकंठ", "Devanagari letters"),
        ("bird 🐦", "emoji"),
        ("bird 🀀", "symbols"),
        ("ไทย?", "Thai letters"),
    ],
)
def test_letters_that_no_font_has_are_said(
    words: str, kind: str, dejavu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_system(dejavu.parents[1], monkeypatch)
    with pytest.warns(FovealWarning, match=f"no font here has {kind}.*FOVEAL_FONT"):
        drawn(words)


def test_without_a_font_of_the_system_the_bundled_one_has_cyrillic(monkeypatch: pytest.MonkeyPatch) -> None:
    on_system(None, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(drawn("Снегирь"), by_hand("Снегирь", fonts.BUNDLED.at(20)))
        drawn("Café — is it?")


@pytest.mark.parametrize("kind", ["missing", "text", "folder", "pipe"])
def test_a_font_of_ones_own_that_is_none_is_said(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.ttf"
    if kind == "text":
        path.write_text("no font")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    monkeypatch.setenv("FOVEAL_FONT", str(path))
    with pytest.warns(FovealWarning, match="not a readable font"):
        drawn("jay")


def test_mixed_words_stand_at_their_anchors(dejavu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_system(dejavu.parents[1], monkeypatch)
    words = "jay Снегирь jay"
    wide = text.length(words, 20)
    for anchor, left in (("la", 100.0), ("ma", 100 - wide / 2), ("ra", 100 - wide)):
        ink = np.flatnonzero((drawn(words, anchor=anchor, at=(100, 10)) < 128).any((0, 2)))
        assert ink[0] >= max(0, left - 3)
        assert abs(ink[-1] - min(399, left + wide)) < 4
    heights = {
        anchor: np.flatnonzero((drawn(words, anchor=f"l{anchor}", at=(10, 30)) < 128).any((1, 2))).mean()
        for anchor in "amb"
    }
    assert heights["b"] < heights["m"] < heights["a"]


def test_lines_in_any_script_fit_their_width(dejavu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_system(dejavu.parents[1], monkeypatch)
    lines = text.wrap("Снегирь обыкновенный очень-длинное-слово-которое-не-помещается jay", 14, 120)
    assert all(text.length(line, 14) <= 120 for line in lines) and "Снегирь" in lines[0]
    assert any("…" in line for line in lines)


def test_marks_that_turn_text_around_are_left_out() -> None:
    np.testing.assert_array_equal(drawn("a\u202eb\u2066c"), drawn("abc"))

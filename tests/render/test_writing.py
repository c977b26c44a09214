"""Names in any script: the bundled font, letters with their marks, and what is written to the left."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw
from rich.cells import cell_len

from foveal.errors import FovealWarning
from foveal.render import fonts, text
from foveal.render.direction import directed, html_text, isolated
from foveal.render.graphemes import graphemes
from foveal.render.page_layout import Page
from foveal.results.stages import aligned


@pytest.fixture(autouse=True)
def no_font_but_the_bundled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("FOVEAL_FONT", raising=False)
    monkeypatch.setattr(fonts, "_folders", list)
    forget()
    yield
    forget()


def forget() -> None:
    for cached in (fonts._read, fonts._candidates, text._runs):
        cached.cache_clear()
    fonts._found.clear()
    fonts._absent.clear()


def drawn(words: str) -> np.ndarray:
    page = Image.new("RGB", (500, 60), "white")
    text.write(ImageDraw.Draw(page), (10, 10), words, 20, ink=(0, 0, 0))
    return np.asarray(page)[..., 0]


def font_of_one_letter(char: str, file: Path) -> Path:
    """A font with one glyph, a black square."""
    pen = TTGlyphPen(None)
    for move, at in ((pen.moveTo, (0, 0)), (pen.lineTo, (0, 900)), (pen.lineTo, (900, 900)), (pen.lineTo, (900, 0))):
        move(at)
    pen.closePath()
    build = FontBuilder(1000)
    build.setupGlyphOrder([".notdef", "square"])
    build.setupCharacterMap({ord(char): "square"})
    build.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    build.setupHorizontalMetrics({".notdef": (500, 0), "square": (1000, 0)})
    build.setupHorizontalHeader(ascent=900, descent=-100)
    build.setupNameTable({"familyName": "Square", "styleName": "Regular"})
    build.setupOS2()
    build.setupPost()
    build.save(file)
    return file


@pytest.mark.parametrize("word", ["собака", "ζώο", "Łódź", "Việt", "כלב", "كلب", "ქართული", "հայ", "½ß", "🐱"])
def test_the_bundled_font_has_what_the_built_in_lacks(word: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = drawn(word)
    assert (shown < 128).sum() > 20
    assert {face for _, face in text.runs(word)} == {fonts.BUNDLED}


def test_the_bundled_font_is_small_and_has_its_license() -> None:
    assert fonts.BUNDLED.path is not None
    assert fonts.BUNDLED.path.stat().st_size < 1_000_000
    assert "Bitstream" in fonts.BUNDLED.path.with_name("LICENSE.txt").read_text()


def test_a_font_of_the_system_is_asked_for_what_is_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(FovealWarning, match="no font here has CJK letters"):
        drawn("猫 3")
    font_of_one_letter("猫", tmp_path / "square.ttf")
    monkeypatch.setattr(fonts, "_folders", lambda: [tmp_path])
    forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        square = drawn("猫 3")
    assert (square[12:26, 12:26] < 30).all()
    with pytest.warns(FovealWarning, match="no font here has CJK letters"):
        drawn("猫犬")


def test_a_font_of_ones_own_comes_before_the_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = font_of_one_letter("ж", tmp_path / "own.ttf")
    monkeypatch.setenv("FOVEAL_FONT", str(own))
    assert text.runs("ж") == (("ж", fonts.Face(own)),)
    assert text.runs("д") == (("д", fonts.BUNDLED),)


@pytest.mark.parametrize(
    ("words", "letters"),
    [
        ("e\u0301a", ["e\u0301", "a"]),
        ("👩🏽‍🚀!", ["👩🏽‍🚀", "!"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("नीक्ष", ["नी", "क्ष"]),
        ("ไก่", ["ไ", "ก่"]),
        ("❤️a", ["❤️", "a"]),
        ("", []),
    ],
)
def test_letters_are_what_a_reader_counts(words: str, letters: list[str]) -> None:
    assert graphemes(words) == letters


@pytest.mark.parametrize("cut", [text.shorten, text.shorten_middle])
@pytest.mark.parametrize("letter", ["e\u0302\u0323", "ж\u0301", "שׁ"])
def test_names_are_cut_between_letters(cut: object, letter: str) -> None:
    whole = letter * 40
    for width in range(40, 200, 17):
        short = cut(whole, 14, width)  # type: ignore[operator]
        assert set(graphemes(short)) <= {letter, "…"}
        assert text.length(short, 14) <= width


@pytest.mark.parametrize(
    ("sentence", "pieces"),
    [
        ("score of כלב קטן 0.87", ["score of ", "כלב קטן", " 0.87"]),
        ("כלב.jpg: 0.5", ["כלב", ".jpg: 0.5"]),
        ("(كلب) 3; קטן, 4", ["(", "كلب", ") 3; ", "קטן", ", 4"]),
        ("plain", ["plain"]),
        ("", []),
        ("בְּרֵאשִׁית", ["בְּרֵאשִׁית"]),
    ],
)
def test_what_is_written_to_the_left_stays_whole(sentence: str, pieces: list[str]) -> None:
    assert directed(sentence) == pieces
    assert "".join(directed(sentence)) == sentence


@pytest.mark.skipif(not fonts.is_shaped(), reason="this Pillow has no raqm")
def test_a_number_stays_behind_the_name() -> None:
    """The sentence is the picture of its pieces, from left to right; the name is as its font draws it to the left."""
    page = Image.new("L", (500, 60), "white")
    font, name = fonts.BUNDLED.at(20), "כלב קטן"
    ImageDraw.Draw(page).text((10, 10), name, font=font, fill=0, direction="rtl")
    wide = int(10 + font.getlength(name, direction="rtl"))
    sentence = drawn(f"{name} 777")
    np.testing.assert_array_equal(rows_of_ink(sentence[:, :wide]), rows_of_ink(np.asarray(page)[:, :wide]))
    assert (sentence[:, wide + 4 :] < 128).any()


def rows_of_ink(picture: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero((picture < 255).any(1))
    return picture[rows[0] : rows[-1] + 1]


def test_pages_set_names_apart() -> None:
    assert html_text("a <כלב> 0.5") == "a &lt;<bdi>כלב</bdi>&gt; 0.5"
    assert isolated('"כלב" 1') == "&quot;\u2067כלב\u2069&quot; 1"
    page = Page(100, 40)
    page.text((5, 5), "כלב 1", 12, ink=(0, 0, 0), anchor="la")
    assert "\u2067כלב\u2069 1</text>" in page.svg()


def test_text_in_a_pdf_can_be_copied() -> None:
    pytest.importorskip("reportlab")
    pypdf = pytest.importorskip("pypdf")
    import io

    page = Page(400, 60)
    page.text((5, 5), "a כלב 0.87 собака", 12, ink=(0, 0, 0), anchor="la")
    read = pypdf.PdfReader(io.BytesIO(page.pdf())).pages[0].extract_text()
    assert " ".join(read.split()) == "a כלב 0.87 собака"


def test_columns_stand_below_each_other() -> None:
    lines = aligned(("name", "x"), [("猫", "1"), ("e\u0301", "2"), ("abcd", "3")]).splitlines()
    assert len({cell_len(line) for line in lines}) == 1


def test_an_svg_holds_the_fonts_that_its_pixels_are_drawn_in() -> None:
    plain, arabic = Page(200, 60), Page(200, 60)
    plain.text((10, 30), "jay 0.87", 14, ink=(0, 0, 0))
    arabic.text((10, 30), "قطة صغيرة 0.87", 14, ink=(0, 0, 0))
    assert plain.svg().count("@font-face") == 1 and 'font-family="Aileron, system-ui' in plain.svg()
    assert arabic.svg().count("@font-face") == 2 and 'font-family="Aileron, foveal-1, system-ui' in arabic.svg()
    bundled = base64.b64encode(Path(str(fonts.BUNDLED.path)).read_bytes()).decode()
    assert bundled in arabic.svg() and bundled not in plain.svg()

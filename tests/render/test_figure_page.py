"""The figure for a paper: its text is text, its colors mean one thing, its numbers are those of the maps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image

from foveal.errors import MissingExtra, ResultError
from foveal.images import Preprocessing, load_images
from foveal.render.color import diverging, sequential
from foveal.render.figure_page import figure_page
from foveal.render.figures import sentence
from foveal.render.overlay import draw_overlay
from foveal.render.scale import number
from foveal.results import Explanation
from foveal.results.explanations import Explanations
from tests.results.test_explanation import explanation


def two_methods() -> Explanations:
    """One has only evidence in favor, the other also evidence against."""
    positive = {"late": torch.tensor([[[0.0, 1], [2, 3]], [[0, 1], [1, 5]]])}
    signed = {"late": torch.tensor([[[-2.0, 1], [2, 3]], [[-4, 1], [1, 5]]])}
    first, second = explanation(maps=positive, method="gradcam"), explanation(maps=signed, method="hirescam")
    return Explanations((first, second))


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("}text")]


def svg_of(whys: Any, tmp_path: Path, **options: Any) -> str:
    return str(whys.save_figure(tmp_path / "figure.svg", **options).read_text(encoding="utf-8"))


def test_text_is_text_in_an_svg(tmp_path: Path) -> None:
    said = words(svg_of(two_methods(), tmp_path))
    assert {"photo", "gradcam", "hirescam", "late", "demo", "jay (17)", "score −2"} <= set(said)
    assert any(line.startswith("Each overlay has its own color scale (98th percentile).") for line in said)


def test_text_is_text_in_a_pdf_and_all_fonts_are_embedded(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("reportlab")
    (page,) = pypdf.PdfReader(two_methods().save_figure(tmp_path / "figure.pdf")).pages
    text = page.extract_text()
    assert all(word in text for word in ("gradcam", "hirescam", "jay (17)", "98th percentile", "12.5 %"))
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
    assert fonts and all("/FontFile2" in font["/FontDescriptor"].get_object() for font in fonts)


def test_what_no_pdf_font_can_hold_is_drawn_as_an_image(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("reportlab")
    from foveal.render.page_layout import Page

    page = Page(200, 40)
    page.text((10, 10), "plain", 12, ink=(0, 0, 0), anchor="la")
    (plain,) = pypdf.PdfReader(_written(page, tmp_path / "a.pdf")).pages
    page.text((10, 25), "e\u0301\u0302", 12, ink=(0, 0, 0), anchor="la")  # marks that must be put over a letter
    (both,) = pypdf.PdfReader(_written(page, tmp_path / "b.pdf")).pages
    assert (len(plain.images), len(both.images)) == (0, 1) and "plain" in both.extract_text()


def _written(page: Any, path: Path) -> Path:
    path.write_bytes(page.pdf())
    return path


def test_one_color_table_for_all_maps_of_a_sheet() -> None:
    """A method with positive evidence alone is drawn in the colors of its neighbor, which needs both signs."""
    whys = two_methods()
    both, alone = (figure_page(one._rows, side=120, drawing=whys[0].drawing) for one in (whys, whys[0]))
    for page, count, table in ((both, 4, diverging()), (alone, 2, sequential())):
        assert len(_bars(page)) == count
        for bar in _bars(page):
            np.testing.assert_array_equal(bar, table[::-1])
    asked = figure_page(whys._rows, side=120, drawing=whys[0].drawing.with_given(sign="negative"))
    assert len({bar.tobytes() for bar in _bars(asked)}) == 1


def _bars(page: Any) -> list[np.ndarray[Any, Any]]:
    """The color columns of a page, top to bottom."""
    found = []
    for mark in page._marks:
        cells = [cell.cell_contents for cell in mark.pdf.__closure__ or ()]
        found += [np.asarray(cell)[:, 0] for cell in cells if isinstance(cell, Image.Image) and cell.height == 256]
    return found


def test_the_bars_numbers_are_percentiles_of_the_maps(tmp_path: Path) -> None:
    map = torch.rand(1, 30, 30, generator=torch.Generator().manual_seed(0))
    why = explanation(maps={"late": map.repeat(2, 1, 1)})
    top = float(np.quantile(map.numpy().astype(np.float64), 0.98))
    assert f"> {number(top)}" in words(svg_of(why, tmp_path))
    assert number(float(map.max())) in words(svg_of(why, tmp_path, scale="image"))
    assert "> 0.5" in words(svg_of(why, tmp_path, scale=0.5))


def test_the_overlays_of_a_column_may_share_a_scale(tmp_path: Path) -> None:
    """Also where the rows are explanations of their own, as on the command line."""
    weak, strong = (explanation(maps={"late": k * torch.tensor([[[0.0, 1], [2, 3]]] * 2)})[0] for k in (1, 7))
    page = figure_page([([weak], 0), ([strong], 0)], side=120, drawing=weak.drawing.with_given(scale="batch"))
    assert words(page.svg()).count("21") == 2
    apart = figure_page([([weak], 0), ([strong], 0)], side=120, drawing=weak.drawing.with_given(scale="image"))
    assert words(apart.svg()).count("21") == 1 and "All overlays of a column share one color scale." in " ".join(
        words(page.svg())
    )


def test_all_layers_are_shown_and_named(tmp_path: Path) -> None:
    why = explanation()
    assert {"early", "late"} <= set(words(svg_of(why, tmp_path)))
    assert "early" not in words(svg_of(why, tmp_path, layers=["late"]))
    assert why.to_html().count("<img ") == 4
    with pytest.raises(ResultError, match="no map of layer 'deep'"):
        why.figure(layers=["deep"])
    with pytest.raises(ResultError, match="no map of 'deep' by gradcam"):
        two_methods().figure(layers=["deep"])


def test_vectors_hold_finer_images_on_the_same_page(tmp_path: Path) -> None:
    sizes = []
    for side in (256, 512):
        root = ET.fromstring(svg_of(explanation(), tmp_path, side=side))
        sizes.append((root.get("width"), len(ET.tostring(root))))
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] > sizes[0][1]


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp"])
def test_pixels(ending: str, tmp_path: Path) -> None:
    file = explanation().save_figure(tmp_path / "new" / f"figure{ending}", side=100)
    with Image.open(file) as image:
        assert image.size == explanation().figure(side=100).size


def test_other_endings_and_a_missing_library_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResultError, match=r"end its name with \.pdf, \.svg, \.png"):
        explanation().save_figure(tmp_path / "figure.doc")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    for name in ("file/figure.png", "folder.png"):
        with pytest.raises(ResultError, match="Cannot write the figure"):
            explanation().save_figure(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setitem(__import__("sys").modules, "reportlab", None)
    with pytest.raises(MissingExtra, match=r"foveal\[pdf\]"):
        explanation().save_figure(tmp_path / "figure.pdf")
    assert sorted(tmp_path.iterdir()) == before


def test_a_contour_overlay_leaves_most_of_the_photo_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    photo = load_images(pixels, Preprocessing((200, 200), resize="exact")).photos[0]
    map = np.exp(-((np.arange(14)[:, None] - 7) ** 2 + (np.arange(14) - 6) ** 2) / 12)
    drawn = np.asarray(draw_overlay(photo, map, contour=True, color_bar=False))
    unchanged = (drawn == pixels).all(axis=2)
    assert 0.75 < unchanged.mean() < 0.99
    veiled = np.asarray(draw_overlay(photo, map, color_bar=False))
    assert (veiled == pixels).all(axis=2).mean() < 0.1


def test_contour_lines_lie_at_their_levels() -> None:
    """On a ramp, where smoothing changes nothing, lines stand at a quarter, a half and three quarters."""
    photo = load_images(np.full((100, 400, 3), 255, np.uint8), Preprocessing((100, 400), resize="exact")).photos[0]
    ramp = np.linspace(0, 1, 400)[None].repeat(100, axis=0)
    row = np.asarray(draw_overlay(photo, ramp, contour=True, color_bar=False)).astype(int)[50].sum(axis=1)
    dark = np.flatnonzero(row < 600)
    lines = [group.mean() for group in np.split(dark, np.flatnonzero(np.diff(dark) > 5) + 1)]
    assert lines == pytest.approx([100, 200, 300], abs=2)


def test_gray_photos_are_covered_less() -> None:
    """The finding on an X-ray is a shade of gray, so that the map must let it through."""
    ramp = np.linspace(40, 215, 100).astype(np.uint8)[None].repeat(100, 0)
    tinted = np.stack([ramp, ramp // 2, ramp], axis=2)
    cover = {}
    for name, pixels in (("gray", np.stack([ramp] * 3, axis=2)), ("colored", tinted)):
        photo = load_images(pixels, Preprocessing((100, 100), resize="exact")).photos[0]
        drawn = np.asarray(draw_overlay(photo, np.ones((2, 2)), color_bar=False)).astype(float)
        luma = drawn @ [0.2126, 0.7152, 0.0722]
        cover[name] = np.ptp(luma[50]) / np.ptp((pixels @ [0.2126, 0.7152, 0.0722])[50])
    assert cover["gray"] > 0.6 and cover["gray"] > 1.1 * cover["colored"]


def test_overlays_have_2048_pixels_at_most_unless_asked_otherwise() -> None:
    photo = load_images(np.zeros((3000, 4000, 3), np.uint8), Preprocessing((8, 8))).photos[0]
    assert draw_overlay(photo, np.eye(2), color_bar=False).size == (2048, 1536)
    assert draw_overlay(photo, np.eye(2), color_bar=False, side=2500).size == (2500, 1875)
    small, large = (draw_overlay(photo, np.eye(2), side=side).width - side for side in (400, 2000))
    assert large > 3 * small  # the bar grows with the image


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"size": 3}, "size 3: give 16 to 32768 pixels"),
        ({"alpha": 1.5}, "alpha 1.5: give a number from 0 to 1"),
        ({"alpha": float("nan")}, "a number from 0 to 1"),
        ({"sign": "up"}, "'auto', 'positive', 'negative' or 'signed'"),
        ({"scale": -1}, "or a number above 0"),
        ({"colors": "no such"}, "no colormap 'no such': use inferno, magma, viridis"),
    ],
)
def test_bad_choices_are_refused_wherever_they_are_made(choice: dict[str, Any], words: str, tmp_path: Path) -> None:
    why = explanation()
    asks = [why.overlay, why.drawn, lambda **given: why.drawn(**given).figure()]
    if "size" not in choice:
        asks += [why.figure, two_methods().figure, lambda **given: why.save_figure(tmp_path / "x.png", **given)]
    for ask in asks:
        with pytest.raises(ResultError, match=re.escape(words)):
            ask(**choice)


def test_how_it_is_drawn_goes_along() -> None:
    why = explanation().drawn(colors="viridis", size=64, contour=True)
    asked = explanation().overlay(1, colors="viridis", size=64, contour=True)
    np.testing.assert_array_equal(np.asarray(why.overlay(1)), np.asarray(asked))
    assert why[0].drawing == why.drawing and Explanations((why,)).drawn(alpha=0.2)[0].drawing.contour
    assert why.notes == explanation().notes


def test_saved_overlays_are_drawn_as_the_explanation_is(tmp_path: Path) -> None:
    explanation().drawn(size=64, colors="gray").save(tmp_path / "out")
    (file,) = (tmp_path / "out").glob("0-*-late.png")
    with Image.open(file) as image:
        assert image.height == explanation().overlay(0, size=64).height


@pytest.mark.parametrize("colors", ["coolwarm", "RdBu_r"])
def test_evidence_of_one_sign_gets_its_half_of_a_diverging_colormap(colors: str) -> None:
    from foveal.render.color import named
    from foveal.render.scale import Scale

    whole = named(colors)
    np.testing.assert_array_equal(Scale("positive", 1.0, colors).table[[0, -1]], whole[[128, -1]])
    np.testing.assert_array_equal(Scale("negative", 1.0, colors).table[[0, -1]], whole[[127, 0]])
    np.testing.assert_array_equal(Scale("signed", 1.0, colors).table, whole)


@pytest.mark.parametrize("i", [2, 3, -3])
def test_an_image_that_is_not_here_is_a_sentence(i: int) -> None:
    why, whys = explanation(), two_methods()
    asks = [why.overlay, why.on_photo, why.caption_lines, why.summary, why.__getitem__]
    for ask in asks:
        with pytest.raises(ResultError, match=f"There is no image {i} here: there are 2 images, numbers 0 to 1"):
            ask(i)
    with pytest.raises(IndexError, match=f"There is no explanation {i} here: there are 2"):
        whys[i]
    with pytest.raises(ResultError, match="There is no image 3 here: there is 1 image, number 0"):
        why[0].overlay(3)


def test_numbers_read_well() -> None:
    from foveal.render.scale import percent, typeset

    assert [percent(share) for share in (1.0, 0.973, 4.85e-7, 0.0)] == ["100 %", "97.3 %", "< 0.001 %", "0 %"]
    assert (
        typeset("-14.5") == "−14.5" and typeset("> 1.2e-5") == "> 1.2e−5" and typeset("black-footed") == "black-footed"
    )
    assert sentence("all is zero") == "All is zero." and sentence("late: x.", ["late"]) == "late: x."


def test_a_sheet_of_one_that_has_nothing_to_show_says_so() -> None:
    why: Explanation = explanation(maps={"late": torch.zeros(2, 2, 2)})
    assert why.figure().size > (0, 0)

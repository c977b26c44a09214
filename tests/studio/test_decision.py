"""The decision as a person explores it: numbers on the page are those of Python."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from scipy import ndimage

import foveal
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from foveal.results import Explanation
    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio

JAY, OTHER = "Fan-crested Jay", "Crown-crested Jay"


@pytest.fixture(scope="module")
def jay(studio: Studio) -> str:
    """The hash of the photo of the jay."""
    return next(photo.hash for photo in studio.photos if photo.scene and photo.scene.class_name == JAY)


@pytest.fixture(scope="module")
def why() -> Explanation:
    """What Python says of it, at every stage."""
    scene = next(scene for scene in demo_scenes() if scene.class_name == JAY)
    model = foveal.load_model("demo")
    return foveal.explain(model, [render(scene)[0]], foveal.Margin(JAY, OTHER), method="hirescam", layer="all")


@pytest.fixture
def opened(studio_server: StudioServer, page: Page, jay: str) -> Page:
    page.goto(f"{studio_server.address}#/decision?photo={jay}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(JAY)
    expect(page.get_by_role("table", name=re.compile("Where the evidence lies"))).to_be_visible()
    return page


def number(text: str) -> float:
    """A number as the page writes it."""
    return float(re.sub(r"[^\d.−-]", "", text).replace("−", "-"))


def test_the_headline_asks_why_this_and_not_the_runner_up(opened: Page) -> None:
    heading = opened.get_by_role("heading", level=1)
    assert " ".join(heading.inner_text().split()) == f"Why {JAY} and not {OTHER}?"


def test_scores_and_chances_are_the_networks(opened: Page, why: Explanation, studio: Studio) -> None:
    logits = studio.models["demo"].module(
        foveal.images.load_images([render(next(s for s in demo_scenes() if s.class_name == JAY))[0]],
                                  studio.models["demo"].preprocessing).tensor
    )[0].detach()  # fmt: skip
    labels = studio.models["demo"].labels or ()
    rows = opened.get_by_role("table", name=re.compile("Scores")).get_by_role("row").all()[1:]
    assert len(rows) == 5
    for row, (value, index) in zip(rows, zip(*logits.topk(5), strict=True), strict=True):
        cells = row.get_by_role("cell").all_inner_texts()
        assert row.get_by_role("rowheader").inner_text() == labels[int(index)]
        assert number(cells[-2]) == pytest.approx(float(value), abs=0.06)
        chance = float(logits.softmax(0)[index])
        assert (
            cells[-1].startswith("<0.1")
            if chance < 0.001
            else number(cells[-1]) == pytest.approx(100 * chance, abs=0.06)
        )


def test_places_are_connected_regions_of_the_map(opened: Page, why: Explanation) -> None:
    map = why.map[0].double().numpy()
    regions, _ = ndimage.label(map > 0.14 * map.max())
    first = max(range(1, regions.max() + 1), key=lambda k: map[regions == k].sum())
    share = map[regions == first].sum() / map[map > 0].sum()
    said = opened.locator("#answer").inner_text()
    area, held = (number(text) for text in re.findall(r"([\d.]+)\s?%", said)[:2])
    assert area == pytest.approx(100 * (regions == first).mean(), abs=0.6)
    assert held == pytest.approx(100 * share, abs=0.6)
    row = (
        opened.get_by_role("table", name=re.compile("Where the evidence lies"))
        .get_by_role("row")
        .filter(has_text="for")
        .first
    )
    assert any(
        "+" in cell and number(cell) == pytest.approx(map[regions == first].sum(), abs=0.06)
        for cell in row.get_by_role("cell").all_inner_texts()
    )


def test_the_depth_scrubber_shows_every_stage_and_asks_nothing(opened: Page, why: Explanation) -> None:
    expect(opened.locator("#answer")).to_contain_text("hidden")
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url) if "/api/decision" in request.url else None)
    depth = opened.get_by_role("slider", name="Depth")
    for layer in reversed(why.layers):
        expect(depth).to_have_attribute(
            "aria-valuetext", re.compile(rf"{re.escape(layer)}, {why.maps[layer].shape[1]} by")
        )
        opened.get_by_role("application").focus()
        opened.keyboard.press("ArrowUp")  # half of the way down and across, and one up
        row, column = why.maps[layer].shape[1] // 2 - 1, why.maps[layer].shape[2] // 2
        value = float(why.maps[layer][0, row, column])
        expect(opened.get_by_text(f"Row {row + 1}, column {column + 1} of {layer}")).to_be_visible()
        text = opened.get_by_text(f"Row {row + 1}, column {column + 1} of {layer}").inner_text()
        assert number(text.rpartition(":")[2]) == pytest.approx(value, rel=0.06, abs=1e-6)
        opened.mouse.move(2, 2)
        depth.focus()
        opened.keyboard.press("ArrowLeft")
    assert not asked


def test_one_hovered_place_answers_everywhere(opened: Page) -> None:
    table = opened.get_by_role("table", name=re.compile("Where the evidence lies"))
    opened.locator(".badges .badge").first.hover()
    row = table.get_by_role("row").filter(has_text="for").first
    expect(row).to_have_class(re.compile("same"))
    expect(opened.get_by_text(re.compile(r"^Place 1: \+.* of the evidence for"))).to_be_visible()
    opened.mouse.move(2, 2)
    row.hover()
    expect(opened.locator("path.place").first).to_have_class(re.compile("same"))


def test_the_address_holds_the_view(opened: Page, studio_server: StudioServer, new_page: Callable[..., Page]) -> None:
    opened.get_by_role("slider", name="Depth").focus()
    opened.keyboard.press("Home")
    opened.get_by_label("Method").select_option("gradcam")
    expect(opened.locator("footer code")).to_contain_text('method="gradcam"')
    other = new_page()
    other.goto(studio_server.address)  # the token
    other.goto(opened.url)
    expect(other.locator("footer code")).to_have_text(opened.locator("footer code").inner_text())
    opened.go_back()
    expect(opened.locator("footer code")).to_contain_text('method="hirescam"')


def test_keys_step_through_the_photos(opened: Page) -> None:
    opened.locator("body").click(position={"x": 2, "y": 2})
    opened.keyboard.press("j")
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Why Crown-crested Jay")
    opened.get_by_role("button", name="Previous photo").click()
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Why Fan-crested Jay")


def test_a_photo_is_added_and_explained(opened: Page) -> None:
    pixels = np.asarray(render(demo_scenes()[0])[0])[:, ::-1]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    name = "<b>mirrored</b>.png"
    opened.get_by_label("Add photos").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": file.getvalue()}
    )
    expect(opened.locator("header").get_by_text(name)).to_be_visible()
    why = foveal.explain(foveal.load_model("demo"), [np.ascontiguousarray(pixels)], foveal.Margin(None, None))
    expect(opened.get_by_role("heading", level=1)).to_contain_text(why.target[0].partition(" (")[0])


def test_a_damaged_photo_is_one_sentence(opened: Page) -> None:
    opened.get_by_label("Add photos").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"\x89PNG"})
    expect(opened.get_by_role("alert")).to_contain_text("The studio cannot read a.png: it is none of AVIF")


def test_an_address_of_another_studio_says_so(studio_server: StudioServer, page: Page) -> None:
    page.goto(f"{studio_server.address}#/decision?photo=0123456789&model=other")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("this one does not have its photo (coral-spoonbill.png is shown) and the model other")
    alert.get_by_role("button").click()
    expect(alert).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_barriers(
    studio_server: StudioServer, new_page: Callable[..., Page], axe: Callable[[Page], None], scheme: str, width: int
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    page.goto(studio_server.address)
    expect(page.get_by_role("table", name=re.compile("Where the evidence lies"))).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    axe(page)

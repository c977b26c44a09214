"""Brushing as a person does it: the numbers are those of masks made in Python."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from playwright.sync_api import expect

import foveal
from foveal.api.audit import elsewhere
from foveal.metrics import black, hidden
from tests.studio.altered_page import (
    JAY,
    OTHER,
    field_of,
    input_of,
    lead,
    mask,
    number,
    numbers,
    own_model,
    photo_named,
    shape_of,
)
from tests.studio.browsing import soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from foveal.images import Batch
    from foveal.models import Model
    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio
    from tests.studio.asking import Client

CREST = [(0.56, 0.3), (0.62, 0.24), (0.7, 0.24), (0.74, 0.3)]
FILLS = ("blur", "mean", "black", "noise", "impute")


@pytest.fixture(scope="module")
def model() -> Model:
    return own_model()


@pytest.fixture(scope="module")
def batch(studio: Studio, model: Model) -> Batch:
    return input_of(studio, photo_named(studio, JAY), model)


@pytest.fixture
def address(studio: Studio, studio_server: StudioServer) -> str:
    return f"{studio_server.address}#/decision?photo={photo_named(studio, JAY)}"


def taken_up(page: Page, address: str) -> Page:
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_contain_text(JAY)
    page.get_by_role("button", name="Brush your own").click()
    expect(brush(page)).to_be_visible()
    return page


def brush(page: Page) -> Locator:
    return page.get_by_role("application", name="Brush")


def drag(page: Page, points: list[tuple[float, float]], *, release: bool = True) -> None:
    brush(page).scroll_into_view_if_needed()
    box = brush(page).bounding_box()
    assert box
    on_page = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*on_page[0])
    page.mouse.down()
    for point in on_page[1:]:
        page.mouse.move(*point, steps=5)
    if release:
        page.mouse.up()


def answer(page: Page) -> str:
    return " ".join(page.locator("#answer").inner_text().split())


def measured(model: Model, batch: Batch, page: Page, fill: Any = "blur", *, keep: bool = False) -> float:
    """The lead of the jay with the address's shape hidden."""
    where = mask(shape_of(page), batch)
    return float(lead(model, hidden(batch.tensor, (~where if keep else where)[None, None], fill)))


def test_a_stroke_is_hidden_and_measured_with_every_fill(page: Page, address: str, model: Model, batch: Batch) -> None:
    drag(taken_up(page, address), CREST)
    expect(page.locator("#answer")).to_contain_text("in 40 other places")
    whole, here = float(lead(model, batch.tensor)), measured(model, batch, page)
    where = mask(shape_of(page), batch)
    assert here < 0.5 * whole
    area, before, after = numbers(answer(page))[:3]
    assert area == pytest.approx(100 * float(where.double().mean()), abs=0.06)
    assert (before, after) == (pytest.approx(whole, abs=0.051), pytest.approx(here, abs=0.051))

    x = hidden(batch.tensor, where[None, None], "blur")
    with torch.no_grad():
        z = model.module.eval()(x)[0]
    row = page.get_by_role("table", name="Scores").get_by_role("row", name=JAY)
    assert number(row.get_by_role("cell").nth(0).inner_text()) == pytest.approx(float(z[4]), abs=0.051)

    others = lead(model, hidden(batch.tensor, elsewhere(where, 40, shared=0.1)[:, None], "blur"))
    plot = page.get_by_role("img", name=re.compile("at 40 other places"))
    said = numbers(plot.get_attribute("aria-label") or "")
    assert said == pytest.approx([here, whole, float(others.min()), float(others.max())], abs=0.051)
    assert plot.locator("circle").count() == 40
    assert numbers(answer(page))[-1] == pytest.approx(float(others.quantile(0.5)), abs=0.051)

    assert model.preprocessing is not None
    dark = black(model.preprocessing.mean, model.preprocessing.std)
    values = page.locator("dd")
    for i, fill in enumerate(FILLS):
        expect(values.nth(i)).to_have_text(re.compile(r"\d"))
        said = number(values.nth(i).inner_text())
        assert said == pytest.approx(measured(model, batch, page, dark if fill == "black" else fill), abs=0.051)

    page.get_by_role("button", name="Keep only this").click()
    expect(page.locator("#answer")).to_contain_text(re.compile("You kept only .* kept in 40 other places"))
    assert numbers(answer(page))[2] == pytest.approx(measured(model, batch, page, keep=True), abs=0.051)


def test_a_place_is_hidden_by_a_click_and_the_address_brings_it_back(
    page: Page, address: str, model: Model, batch: Batch
) -> None:
    page.goto(address)
    page.get_by_role("button", name="Hide place 1").click()
    expect(page.locator("#answer")).to_contain_text("in 40 other places")
    said = answer(page)
    assert numbers(said)[2] == pytest.approx(measured(model, batch, page), abs=0.051)
    page.reload()
    expect(page.locator("#answer")).to_contain_text("in 40 other places")
    assert answer(page) == said
    page.go_back()
    expect(page.locator("#answer")).to_contain_text("Because of place 1")


def test_strokes_are_taken_back_erased_and_cleared(page: Page, address: str) -> None:
    drag(taken_up(page, address), CREST)
    expect(page.locator("#answer")).to_contain_text("You hid")
    drag(page, [(0.2, 0.8), (0.3, 0.8)])
    soon(page, lambda: len(shape_of(page)["strokes"]) == 2)
    page.keyboard.press("Control+z")
    soon(page, lambda: len(shape_of(page)["strokes"]) == 1)
    page.keyboard.press("x")
    drag(page, [(0.6, 0.24), (0.66, 0.24)])
    soon(page, lambda: [stroke["erase"] for stroke in shape_of(page)["strokes"]] == [False, True])
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Clear").click()
    soon(page, lambda: not field_of(page, "shape"))
    expect(page.locator("#answer")).to_contain_text("Paint on the photo")


def test_the_keyboard_paints_too(page: Page, address: str, model: Model, batch: Batch) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_contain_text(JAY)
    page.keyboard.press("b")
    brush(page).focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "ArrowUp", "]", "]", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#answer")).to_contain_text("You hid")
    (stroke,) = shape_of(page)["strokes"]
    step = 0.09 / 2
    assert stroke["points"] == [pytest.approx([0.5 + step, 0.5 - 3 * step], abs=2e-3)]
    assert stroke["radius"] == pytest.approx(step * 1.2**2, abs=1e-3)
    assert numbers(answer(page))[2] == pytest.approx(measured(model, batch, page), abs=0.051)
    page.keyboard.press("Escape")
    expect(brush(page)).to_have_count(0)
    expect(page.locator("#answer")).to_contain_text("Because of place 1")


def test_scores_follow_the_brush_while_it_moves(page: Page, address: str) -> None:
    """At most fifteen questions a second, one at a time, and the last one is about the last stroke."""
    taken_up(page, address)
    asked: list[float] = []
    page.on("request", lambda request: asked.append(time.monotonic()) if request.url.endswith("/edited") else None)
    box = brush(page).bounding_box()
    assert box
    start = time.monotonic()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    for i in range(60):
        page.mouse.move(box["x"] + (0.5 + i / 240) * box["width"], box["y"] + 0.28 * box["height"])
        page.wait_for_timeout(15)
    expect(page.locator("#answer")).to_contain_text("You hid")
    seconds = time.monotonic() - start
    assert not field_of(page, "shape"), "the stroke is still being drawn"
    assert 2 <= len(asked) <= 15 * seconds + 2
    assert "other places" not in answer(page)
    page.mouse.up()
    expect(page.locator("#answer")).to_contain_text("other places")


def test_the_picture_is_what_the_network_gets_and_what_is_left_is_explained(
    page: Page, address: str, model: Model, batch: Batch, client: Client
) -> None:
    drag(taken_up(page, address), CREST)
    page.get_by_label("Filled with").select_option("mean")
    expect(page.locator("#answer")).to_contain_text("other places")
    page.wait_for_timeout(300)
    where = mask(shape_of(page), batch)
    assert model.preprocessing is not None
    x = hidden(batch.tensor, where[None, None], "mean")
    pixels = model.preprocessing.undo(x[0].numpy())
    middle = where.nonzero().double().mean(0)
    inside = min(where.nonzero().tolist(), key=lambda at: abs(at[0] - middle[0]) + abs(at[1] - middle[1]))
    points = [inside, [150, 20], [20, 20]]
    shown = page.evaluate(
        """points => { const canvas = document.querySelector(".photomap canvas");
        const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return points.map(([y, x]) => [...all.data.slice(4 * (Math.floor(y * canvas.height) * canvas.width +
            Math.floor(x * canvas.width))).slice(0, 3)]); }""",
        [[(row + 0.5) / 160, (column + 0.5) / 160] for row, column in points],
    )
    for (row, column), colors in zip(points, shown, strict=True):
        # Outside the page draws the scene larger than the network sees it.
        assert colors == pytest.approx(pixels[row, column].tolist(), abs=4 if where[row, column] else 24)

    with page.expect_request("**/api/decision") as asked:
        page.get_by_role("button", name="Explain what is left").click()
    answered = client.answer("decision", **asked.value.post_data_json)
    why = foveal.explain(model, x, foveal.Margin(JAY, OTHER), method="hirescam", layer="all")
    totals = [map["total"] for map in answered["maps"]]
    assert totals == pytest.approx([float(map.sum()) for map in why.maps.values()], abs=1e-3)
    expect(page.get_by_text("The map is that of the altered photo")).to_be_visible()
    expect(page.get_by_role("radio", name="Map")).to_be_checked()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_nothing_bars_the_way(
    width: int, scheme: Any, new_page: Callable[..., Page], address: str, axe: Callable[[Page], None]
) -> None:
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    drag(taken_up(page, address), CREST)
    expect(page.locator("#answer")).to_contain_text("other places")
    page.wait_for_timeout(300)
    axe(page)
    assert page.evaluate("document.querySelector('.decision').getBoundingClientRect().right") <= width

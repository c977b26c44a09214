"""The view Match, as a person uses it: what it says is what `foveal.match` and `foveal.retrieve` say."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.api.counterparts import counterparts
from foveal.errors import MethodError
from foveal.synthetic import class_scene, render
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio
from tests.networks import tiny

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from foveal.webapp.photos import StudioPhoto
    from foveal.webapp.serve import StudioServer
    from tests.studio.asking import Client


def first(studio: Studio) -> list[StudioPhoto]:
    """The photos, the first one the query."""
    return list(studio.photos)


def matched(studio: Studio, *others: StudioPhoto, **options: Any) -> foveal.Match:
    return foveal.match(studio.models["demo"], [first(studio)[0].image], [one.image for one in others], **options)


def open_match(page: Page, server: StudioServer, address: str = "") -> None:
    page.goto(f"{server.address}#/match{address}")
    page.get_by_role("radiogroup", name="Photo to compare with").wait_for()
    page.get_by_role("group", name="Lines, the strongest first").wait_for()


def number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def ranks_on(page: Page) -> list[float]:
    listed = page.get_by_role("radiogroup", name="Photo to compare with").locator("label b").all_inner_texts()
    return [number(text) for text in listed]


def test_ranks_are_those_of_python(studio: Studio, studio_server: StudioServer, page: Page) -> None:
    open_match(page, studio_server)
    pair = matched(studio, *first(studio)[1:])
    expected = [pair.value(0, j) for j in pair.ranking()]
    np.testing.assert_allclose(ranks_on(page), expected, atol=6e-4)
    found = foveal.retrieve(
        studio.models["demo"], [first(studio)[0].image], [one.image for one in first(studio)[1:]], show=0
    )
    np.testing.assert_allclose(expected, [found.value(0, j) for j in found.ranking(0)], atol=1e-6)
    best = first(studio)[1:][pair.ranking()[0]]
    heading = page.get_by_role("heading", level=1).inner_text()
    assert "most like" in heading and best.name in heading
    ranks = page.get_by_role("radiogroup", name="Photo to compare with")
    ranks.get_by_role("radio", checked=True).press("ArrowDown")
    second = first(studio)[1:][pair.ranking()[1]]
    page.get_by_role("heading", level=1).filter(has_text=second.name).wait_for()
    assert f"{expected[1]:.3f}, rank 2 of {len(expected)}" in page.locator(".question .answer").inner_text()


def test_lines_and_channels_are_those_of_python(studio: Studio, studio_server: StudioServer, page: Page) -> None:
    open_match(page, studio_server)
    others = first(studio)[1:]
    pair = matched(studio, *others)
    j = pair.ranking()[0]
    lines = page.get_by_role("group", name="Lines, the strongest first").get_by_role("button")
    assert lines.count() == pair.places.shape[2]
    for i, (row, column, row2, column2, value) in enumerate(pair.places[0, j].tolist()):
        here, there = f"row {row + 1:.0f}, column {column + 1:.0f}", f"row {row2 + 1:.0f}, column {column2 + 1:.0f}"
        lines.nth(i).focus()
        assert lines.nth(i).get_attribute("aria-label") == f"Line {i + 1}: {here} with {there}"
        told = page.get_by_text(re.compile("These two positions add")).inner_text()
        assert number(told.split()[4]) == pytest.approx(value, rel=0.06)
    held = page.get_by_text("Lines are the peaks").inner_text()
    share = float(pair.places[0, j, :, 4].sum() / pair.similarity[0, j])
    assert "The maps are the whole." in held
    assert number(held.split("hold ")[1].split("\u202f")[0]) == pytest.approx(100 * share, rel=0.5)
    table = page.get_by_role("table", name=re.compile("Channels that say so"))
    top = pair.shares(0, j).abs().argsort(descending=True)[:5].tolist()
    assert table.get_by_role("rowheader").all_inner_texts() == [f"channel {k}" for k in top]


def test_a_hovered_line_shows_its_positions(studio_server: StudioServer, page: Page) -> None:
    open_match(page, studio_server)
    line = page.locator(".lines g:not(.current)").first
    middle = "circle => [circle.cx.baseVal.value, circle.cy.baseVal.value]"
    x, y = line.locator("circle").first.evaluate(middle)
    pair = page.locator(".pair").bounding_box()
    assert pair
    page.mouse.move(pair["x"] + x, pair["y"] + y)
    page.get_by_role("heading", name=re.compile(r"^Line \d")).wait_for()
    current = page.locator(".lines g.current circle").first
    assert current.evaluate(middle) == [x, y]


def test_a_click_shows_the_counterpart(studio: Studio, studio_server: StudioServer, page: Page, client: Client) -> None:
    open_match(page, studio_server)
    others = first(studio)[1:]
    pair = matched(studio, *others)
    j = pair.ranking()[0]
    row, column = (int(at) for at in pair.places[0, j, 0, :2].tolist())
    photos = page.get_by_role("application")
    box = photos.nth(0).bounding_box()
    n, m = pair.query_maps.shape[2:]
    assert box
    photos.nth(0).click(position={"x": (column + 0.5) / m * box["width"], "y": (row + 0.5) / n * box["height"]})
    page.get_by_role("button", name="Back to all lines").wait_for()
    both = counterparts(studio.models["demo"], first(studio)[0].image, others[j].image)
    map = both.of([(row, column)])
    peak = divmod(int(map.argmax()), map.shape[1])
    words = page.locator("section.line h2").inner_text()
    assert f"row {row + 1}, column {column + 1} ↔ row {peak[0] + 1}, column {peak[1] + 1}" in words
    page.get_by_role("button", name="Back to all lines").click()
    page.get_by_role("group", name="Lines, the strongest first").wait_for()


def test_counterparts_are_the_similarity_taken_apart(studio: Studio) -> None:
    """Summed over all positions it is the match's linear map, which sums to the similarity."""
    one, other = first(studio)[0].image, first(studio)[1].image
    pair = foveal.match(studio.models["demo"], [one], [other], weights="linear")
    both = counterparts(studio.models["demo"], one, other)
    n, m = both.sizes[0]
    everywhere = [(row, column) for row in range(n) for column in range(m)]
    np.testing.assert_allclose(both.of(everywhere), pair.reference_maps[0, 0], atol=1e-6)
    np.testing.assert_allclose(both.back(everywhere), pair.query_maps[0, 0], atol=1e-6)
    row, column, row2, column2, value = pair.places[0, 0, 0].tolist()
    assert float(both.of([(int(row), int(column))])[int(row2), int(column2)]) == pytest.approx(value, rel=1e-4)


def test_counterparts_say_what_they_cannot() -> None:
    image = render(class_scene("Coral Ibis", 1))[0]
    model = foveal.Model(tiny(), "tiny", foveal.Preprocessing.named("imagenet", 32))
    with pytest.raises(MethodError, match="no counterpart: use cosine or dot"):
        counterparts(model, image, image, metric="euclidean")
    with pytest.raises(MethodError, match="was chosen on a map of"):
        counterparts(model, image, image).of([(99, 0)])


def test_what_sets_two_apart(studio: Studio, studio_server: StudioServer, page: Page, client: Client) -> None:
    open_match(page, studio_server)
    page.get_by_text("What sets them apart").click()
    others = first(studio)[1:]
    found = matched(studio, *others)
    one, than = found.ranking()[:2]
    contrast = foveal.retrieve(
        studio.models["demo"], [first(studio)[0].image], [others[one].image, others[than].image],
        query_labels=["b"], reference_labels=["a", "b"], show=1, draws=0,
    ).contrasts[0]  # fmt: skip
    said = page.get_by_text(re.compile("is ahead of")).inner_text()
    assert number(said.split(" by ")[1].split(" ")[0].rstrip(".")) == pytest.approx(contrast.margin, abs=6e-4)
    answer = client.answer(
        "contrast", photo=first(studio)[0].hash, model="demo", metric="cosine",
        other=others[one].hash, than=others[than].hash,
    )  # fmt: skip
    assert answer["margin"] == pytest.approx(contrast.margin, abs=1e-6)
    assert answer["query_map"]["total"] == pytest.approx(float(contrast.query_map.double().sum()), abs=1e-6)


def test_other_methods_explain_the_similarity_on_both(studio: Studio, client: Client) -> None:
    one, other = first(studio)[:2]
    answer = client.answer("match", photo=one.hash, other=other.hash, model="demo", method="gradcam")
    for name, image, reference in (("query_map", one, other), ("reference_map", other, one)):
        why = foveal.explain(studio.models["demo"], [image.image], foveal.Similar(reference.image), method="gradcam")
        assert answer[name]["scale"] == pytest.approx(float(why.map.abs().max()), rel=1e-4)
        assert answer[name]["total"] == pytest.approx(float(why.map.double().sum()), rel=1e-4)
    page_says = client.ask("match", photo=one.hash, other=other.hash, model="demo", method="own.py:mine")
    assert page_says.status == 400 and "the studio has no method" in page_says.sentence


def test_a_second_photo_dropped_on_the_headline_makes_a_match(studio: Studio, page: Page) -> None:
    alone = Studio({"demo": studio.models["demo"]})
    alone.add_photos([render(class_scene("Coral Ibis", 3))[0]])
    with serving(alone, port=0) as server:
        dropped(alone, server, page)


def dropped(alone: Studio, server: StudioServer, page: Page) -> None:
    page.goto(f"{server.address}#/match")
    page.get_by_text("Drop a second photo, or a folder, to compare.").wait_for()
    page.get_by_role("link", name="Decision").click()
    page.get_by_role("heading", level=1).get_by_text("Why").wait_for()
    drop(page.get_by_role("heading", level=1), render(class_scene("Coral Spoonbill", 4))[0])
    page.get_by_role("group", name="Lines, the strongest first").wait_for()
    query, reference = list(alone.photos)
    pair = foveal.match(alone.models["demo"], [query.image], [reference.image])
    assert f"Cosine {pair.value(0, 0):.3f}" in page.locator(".question .answer").inner_text()


def drop(target: Locator, pixels: np.ndarray) -> None:
    """Let go of a PNG file over an element."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    target.evaluate(
        """(element, data) => {
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "second.png", {type: "image/png"}));
            for (const type of ["dragover", "drop"])
                element.dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: transfer}));
        }""",
        base64.b64encode(buffer.getvalue()).decode(),
    )


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_without_barriers(
    studio_server: StudioServer, new_page: Callable[..., Page], axe: Callable[[Page], None], scheme: str, width: int
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    open_match(page, studio_server)
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_text("What sets them apart").click()
    page.get_by_text("is ahead of").wait_for()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_parts_of_both_are_those_of_python(studio: Studio, studio_server: StudioServer, page: Page) -> None:
    open_match(page, studio_server)
    page.get_by_role("button", name="Parts of both").click()
    others = first(studio)[1:]
    j = matched(studio, *others).ranking()[0]
    parts = matched(studio, others[j], parts=5).parts()
    table = page.get_by_role("table", name=re.compile("Parts of both"))
    table.wait_for()
    rows = table.get_by_role("row").all()[1:]
    assert len(rows) == len(parts)
    for row, part in zip(rows, parts, strict=True):
        share, lost, chance = (
            number(cell.partition("\u202f")[0]) for cell in row.get_by_role("cell").all_inner_texts()[1:]
        )
        for shown, value in ((share, part.share), (lost, part.lost), (chance, part.effects["random"])):
            assert shown == pytest.approx(100 * value, abs=0.6)
    before = page.get_by_role("application").first.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    rows[1].focus()
    page.wait_for_function("before => document.querySelector('.pair canvas').toDataURL() !== before", arg=before)

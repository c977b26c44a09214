"""A page from disk: the studio's views with recorded answers, and no request at all."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

import foveal
from foveal.demo import run
from foveal.report.keys import key_of
from foveal.report.page import static
from foveal.report.saved_page import save_page
from foveal.synthetic import demo_scenes, render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's page of two images."""
    out = tmp_path_factory.mktemp("demo")
    assert [*run(out, images=2, scenes=4, intervened=2)]
    return out / "report.html"


def asked(page: Page) -> list[str]:
    """Whatever the page asks for from now on, but itself and what is inside of it."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    return requests


def test_the_report_asks_for_nothing(report: Path, new_page: Callable[..., Page]) -> None:
    page = new_page()
    requests = asked(page)
    page.goto(report.as_uri())
    expect(page.get_by_role("heading", level=1)).to_contain_text("Why")
    for view in ("Tree", "Parts", "Match", "Methods", "Scores", "Decision"):
        page.get_by_role("navigation").get_by_role("link", name=view, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
    assert {url.split("#")[0] for url in requests if not url.startswith(("data:", "blob:"))} == {report.as_uri()}


def test_what_needs_a_network_is_absent(report: Path, page: Page) -> None:
    page.goto(report.as_uri())
    expect(page.get_by_role("table", name=re.compile("^Scores"))).to_be_visible()
    expect(page.get_by_text("Add photos")).to_have_count(0)
    expect(page.get_by_role("heading", name=re.compile("What if"))).to_have_count(0)
    assert page.get_by_role("navigation").get_by_role("link").all_inner_texts() == [
        "Decision", "Tree", "Parts", "Match", "Methods", "Scores",
    ]  # fmt: skip
    page.get_by_role("button", name="Share").click()
    menu = page.get_by_role("dialog", name="Share")
    expect(menu.get_by_role("button", name="Copy link")).to_be_visible()
    expect(menu.get_by_role("button", name=re.compile("Figure|Page"))).to_have_count(0)


def test_the_headline_chooses_among_what_was_recorded(report: Path, page: Page) -> None:
    page.goto(report.as_uri())
    choice = page.get_by_label("What is explained")
    first, second = choice.locator("option").all_inner_texts()
    assert first == "Coral Spoonbill and not Coral Ibis" and second == "Coral Spoonbill"
    choice.select_option(second)
    why = foveal.explain(foveal.load_model("demo"), render(demo_scenes()[0])[0], method="hirescam", layer="all")
    places = page.get_by_role("table", name=re.compile("Where the evidence lies"))
    told = places.get_by_role("row").locator("td.number").all_inner_texts()
    total = sum(float(text.replace("−", "-")) for text in told if text.strip())
    assert total == pytest.approx(float(why.map.sum()), abs=0.06 * len(told))


def test_the_keys_change_the_photo_and_what_was_recorded_of_it(report: Path, page: Page) -> None:
    page.goto(report.as_uri())
    before = page.get_by_role("heading", level=1).inner_text()
    page.keyboard.press("j")
    expect(page.get_by_role("heading", level=1)).not_to_have_text(before)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("table", name=re.compile("Where the evidence lies"))).to_be_visible()


def test_the_tables_of_a_wide_page_are_whole(report: Path, page: Page) -> None:
    page.goto(report.as_uri() + "#/measured")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.locator(".sheet .wide").count() == 2
    assert page.locator(".sheet .wide").evaluate_all(cut) == 0


def test_tables_sort_by_a_column(report: Path, page: Page) -> None:
    page.goto(report.as_uri() + "#/measured")
    table = page.get_by_role("region", name=re.compile("mark the deciding part"))
    table.get_by_role("button", name="stage3").click()
    expect(table.get_by_role("columnheader", name="stage3")).to_have_attribute("aria-sort", "descending")
    column = (
        table.locator("thead th").all_inner_texts().index(table.get_by_role("columnheader", name="stage3").inner_text())
    )
    cells = [row.locator("td").nth(column - 1).inner_text() for row in table.locator("tbody tr").all()]
    shares = [int(text.split()[0]) for text in cells if text.strip()]
    assert len(shares) >= 9 and shares == sorted(shares, reverse=True)
    assert not any(text.strip() for text in cells[len(shares) :]), "what is not measured stands at the end"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_has_no_barriers(
    report: Path, new_page: Callable[..., Page], axe: Callable[[Page], None], scheme: str, width: int
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto(report.as_uri() + "#/measured")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    axe(page)
    page.goto(report.as_uri() + "#/decision")
    page.get_by_role("button", name="Share").click()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_comparison_opens_an_image_from_its_table(tmp_path: Path, page: Page) -> None:
    model, photos = foveal.load_model("demo"), [render(scene)[0] for scene in demo_scenes()[:2]]
    whys = foveal.compare(model, photos, methods=["gradcam", "gradient"])
    scores = foveal.measure(model, photos, explanations=whys, metrics=["deletion"], baseline_maps=False)
    page.goto(save_page(whys, tmp_path / "compare.html", scores).as_uri() + "#/measured")
    table = page.get_by_role("region", name="deletion ↓, image by image")
    row = table.get_by_role("row", name=re.compile("image 2"))
    assert row.locator("td").all_inner_texts()[0].split()[0] == f"{scores.values['gradcam']['deletion'][1]:.3g}"
    row.get_by_role("link", name="image 2").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(whys[0].target[1].rsplit(" (", 1)[0])
    page.get_by_label("Method").select_option("gradient")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_python_makes_the_keys_of_the_page(page: Page) -> None:
    page.goto("about:blank")
    queries = [_query(random.Random(seed)) for seed in range(300)]
    script = """async ([script, queries]) => {
        const {keyOf} = await import(URL.createObjectURL(new Blob([script], {type: "text/javascript"})));
        return queries.map((query) => keyOf("ask", query));
    }"""
    assert page.evaluate(script, [static("studio.js"), queries]) == [key_of("ask", query) for query in queries]


def _query(draw: random.Random, deep: int = 3) -> dict[str, Any]:
    names = ("photo", "zeta", "Ω", "10", "9", "01", "4294967295", "a b", "", "\ue000", "\U0001f426", "é")
    return {name: _value(draw, deep) for name in draw.sample(names, draw.randint(0, 6))}


def _value(draw: random.Random, deep: int) -> Any:
    numbers = (
        0,
        -0.0,
        1.0,
        -3,
        0.1,
        1e21,
        1e20,
        123456789012345680000.0,
        1.5e-6,
        1e-7,
        -2.5e-9,
        5e-324,
        1.7e308,
        1 / 3,
    )
    texts = ("", 'say "no"', "\\", "\n\t\b\f\r\x01\x7f", "\u2028<&>", "\U0001f426", "é")
    kind = draw.randint(0, 5 if deep else 3)
    if kind == 0:
        return draw.choice(numbers)
    if kind == 1:
        return draw.uniform(-1, 1) * 10.0 ** draw.randint(-12, 24)
    if kind == 2:
        return draw.choice(texts)
    if kind == 3:
        return draw.choice((None, True, False, draw.randint(-(2**53), 2**53)))
    return [_value(draw, deep - 1) for _ in range(draw.randint(0, 3))] if kind == 4 else _query(draw, deep - 1)

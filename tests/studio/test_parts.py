"""Ranked parts on the page are those of `foveal.parts`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import foveal
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from foveal.results.parts import Parts
    from foveal.webapp.serve import StudioServer

SCENE = 0


def rows(page: Page) -> list[list[str]]:
    table = page.get_by_role("table", name=re.compile("Ranked by activity"))
    expect(table).to_be_visible()
    return [row.get_by_role("cell").all_inner_texts() for row in table.get_by_role("row").all()[1:]]


def check(found: Parts, shown: list[list[str]]) -> None:
    values = [float(row[-1].replace("\N{MINUS SIGN}", "-")) for row in shown]
    assert values[: found.count] == pytest.approx(found.evidence[0].tolist(), abs=0.006)
    assert found.score is not None
    assert values[-1] == pytest.approx(float(found.score[0]), abs=0.006)
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=0.03)


def test_any_network_is_described_by_as_many_parts_as_asked_for(studio_server: StudioServer, page: Page) -> None:
    page.goto(f"{studio_server.address}#/parts")
    image = render(demo_scenes()[SCENE])[0]
    model = foveal.load_model("demo")
    target = foveal.Margin(None, None)
    check(foveal.parts(model, [image], target), rows(page))
    page.get_by_role("slider", name="Parts").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Show part 4")).to_be_visible()
    page.get_by_text("2 × finer").click()
    expect(page.locator("footer code")).to_contain_text("count=4, resolution=2")
    finer = foveal.parts(model, [image], target, count=4, resolution=2)
    expect(page.get_by_role("cell", name=f"{float(finer.evidence[0, 0]):+.2f}")).to_be_visible()
    check(finer, rows(page))


def test_a_network_that_decides_by_parts_shows_its_own(studio_server: StudioServer, page: Page) -> None:
    page.goto(f"{studio_server.address}#/parts?model=parts")
    found = foveal.parts(foveal.load_model("parts"), [render(demo_scenes()[SCENE])[0]], foveal.Margin(None, None))
    check(found, rows(page))
    expect(page.get_by_text("The network decides by these parts.")).to_be_visible()
    expect(page.get_by_role("slider", name="Parts")).to_have_count(0)
    page.get_by_role("link", name=re.compile("take it apart")).first.click()
    expect(page.get_by_role("treeitem").first).to_be_visible()
    expect(page.get_by_role("combobox", name="rather than")).to_have_value("none")

"""The legend's least area, the deletion curve whose point moves with it, and the curves over the depth."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

import foveal
from foveal.metrics.curves import deletion
from foveal.metrics.shape import area_holding
from tests.studio.altered_page import JAY, OTHER, input_of, lead, number, numbers, own_model, photo_named

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio


@pytest.fixture
def opened(page: Page, studio: Studio, studio_server: StudioServer) -> Page:
    page.goto(f"{studio_server.address}#/decision?photo={photo_named(studio, JAY)}")
    expect(page.get_by_role("img", name=re.compile("Deletion curve"))).to_be_visible(timeout=30_000)
    return page


def test_the_least_area_and_the_deletion_curve(opened: Page, studio: Studio) -> None:
    model = own_model()
    batch = input_of(studio, photo_named(studio, JAY), model)
    why = foveal.explain(model, batch, foveal.Margin(JAY, OTHER), layer="stage3", method="hirescam")
    curve = deletion(lambda x: lead(model, x), batch.tensor, why.map[0], steps=24, fill="blur")

    def checked(share: float, held: float) -> None:
        words = opened.get_by_text(re.compile("of the positions hold"))
        area, holds, before, after = numbers(words.inner_text())[:4]
        assert (area, holds) == (pytest.approx(100 * share, abs=0.6), pytest.approx(100 * held, abs=0.6))
        assert before == pytest.approx(float(curve.scores[0]), abs=0.051)
        assert after == pytest.approx(float(np.interp(share, curve.shares, curve.scores)), abs=0.06)

    positive = why.map[0].clamp(min=0).double()
    checked(float((positive > 0).double().mean()), 1.0)
    opened.get_by_label("Sign").select_option("area")
    share = area_holding(why.map[0], 0.5)
    held = float(positive.flatten().sort(descending=True).values[: round(share * 400)].sum() / positive.sum())
    expect(opened.get_by_text(re.compile("of the positions hold"))).to_contain_text(f"hold {100 * held:.0f}")
    checked(share, held)
    percent = opened.get_by_label("Percent of the evidence for that the shown positions hold")
    percent.fill("80")
    percent.press("Enter")
    share = area_holding(why.map[0], 0.8)
    expect(opened.get_by_text(re.compile("of the positions hold"))).to_contain_text(re.compile("hold 8[0-9]"))
    checked(share, float(positive.flatten().sort(descending=True).values[: round(share * 400)].sum() / positive.sum()))

    start = opened.get_by_role("slider", name="Show evidence from")
    assert number(start.get_attribute("aria-valuenow") or "") > 0
    start.press("PageUp")
    value = float(start.get_attribute("aria-valuenow") or "")
    shown = why.map[0] >= value * (1 - 1e-6)
    checked(float(shown.double().mean()), float(why.map[0][shown].double().sum() / positive.sum()))
    start.dblclick()
    assert start.get_attribute("aria-valuenow") == "0"


def test_shift_moves_both_ends_of_the_legend(opened: Page) -> None:
    limit = opened.get_by_role("slider", name="Value of the strongest color")
    start = opened.get_by_role("slider", name="Show evidence from")
    start.press("PageUp")
    before = [float(slider.get_attribute("aria-valuenow") or "") for slider in (limit, start)]
    limit.press("Shift+PageDown")
    after = [float(slider.get_attribute("aria-valuenow") or "") for slider in (limit, start)]
    assert after[0] < before[0] and after[1] < before[1]
    assert after[1] / after[0] == pytest.approx(before[1] / before[0], rel=1e-3)


def test_the_curves_over_the_depth(opened: Page, studio: Studio) -> None:
    model = own_model()
    batch = input_of(studio, photo_named(studio, JAY), model)
    flow = foveal.flow(model, batch, foveal.Margin(JAY, OTHER))
    why = foveal.explain(model, batch, foveal.Margin(JAY, OTHER), layer="all", method="hirescam")
    said = opened.get_by_role("img", name=re.compile("of neurons used")).get_attribute("aria-label") or ""
    for stage, audited in zip(said.split("; "), flow.audit(), strict=True):
        layer, _, numbers_ = stage.partition(": ")
        assert layer == audited.layer
        evidence, measured, used = numbers(numbers_)
        assert evidence == pytest.approx(float(why.maps[layer].sum()), abs=0.051)
        assert measured == pytest.approx(float(audited.without_abandoned), abs=0.051)
        assert used == pytest.approx(100 * flow.number(layer, "kept"), abs=0.6)
    opened.get_by_role("button", name="of neurons used").focus()
    expect(opened.locator(".depth-curves .read")).to_contain_text("depends on at all")


def test_another_stage_asks_nothing_and_takes_little(opened: Page) -> None:
    """Of the page's own processor time, the best of several: `benchmarks/studio_stage.py` has the exact number."""
    slider = opened.get_by_role("slider", name="Depth")
    slider.focus()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url) if request.url.endswith("/decision") else None)
    session = opened.context.new_cdp_session(opened)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    times = []
    for key in ["ArrowLeft", "ArrowRight"] * 3:
        before, stage = spent(), slider.get_attribute("aria-valuenow")
        slider.press(key)
        expect(slider).not_to_have_attribute("aria-valuenow", stage or "")
        opened.wait_for_timeout(100)
        times.append(spent() - before)
    assert 0 < min(times) < 0.2
    assert not asked

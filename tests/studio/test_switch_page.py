"""Channels switched off as a person does it: the claim and the measured effect are Python's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch
from playwright.sync_api import expect

import foveal
from tests.studio.altered_page import JAY, OTHER, field_of, input_of, lead, number, numbers, own_model, photo_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from foveal.images import Batch
    from foveal.models import Model
    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio


def without(model: Model, batch: Batch, factor: torch.Tensor) -> float:
    """The lead where stage3 gives less."""
    handle = dict(model.module.named_modules())["stage3"].register_forward_hook(lambda *a: a[2] * factor)
    try:
        return float(lead(model, batch.tensor))
    finally:
        handle.remove()


def test_channels_are_switched_off_and_measured(
    page: Page, studio: Studio, studio_server: StudioServer, axe: Callable[[Page], None]
) -> None:
    model, photo = own_model(), photo_named(studio, JAY)
    batch = input_of(studio, photo, model)
    page.goto(f"{studio_server.address}#/decision?photo={photo}")
    page.get_by_role("button", name="Switch off a part").click()
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(8)
    labels = [
        int(re.sub(r"\D", "", text))
        for text in page.locator(".bringing label:has(input[type=checkbox])").all_inner_texts()
    ]
    why = foveal.explain(
        model, batch, foveal.Margin(JAY, OTHER), layer="stage3",
        method=foveal.Method("first", formula=lambda A, G: A[:, labels[0]] * G[:, labels[0]]),
    )  # fmt: skip
    row = page.get_by_role("row", name=f"channel {labels[0]}")
    assert number(row.get_by_role("cell").last.inner_text()) == pytest.approx(float(why.map.sum()), abs=0.051)

    boxes.nth(0).check()
    boxes.nth(1).check()
    expect(page.locator("#answer")).to_contain_text(f"With channels {labels[0]} and {labels[1]} off everywhere")
    factor = torch.ones(1, 128, 1, 1)
    factor[:, labels[:2]] = 0
    whole, left = float(lead(model, batch.tensor)), without(model, batch, factor)
    said = page.locator("#answer").inner_text()
    assert numbers(said)[:2] == pytest.approx([whole, left], abs=0.051)
    measured = page.get_by_role("table", name="What they bring")
    values = [number(text) for text in measured.get_by_role("cell").all_inner_texts() if text.strip()]
    assert values == pytest.approx([whole - left] * 2, abs=0.051)  # stage3 is linear to the score
    axe(page)

    slider = page.get_by_role("slider", name="What the channels are multiplied by")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    factor[:, labels[:2]] = 0.5
    expect(page.locator("#answer")).to_contain_text("times 0.5")
    assert numbers(page.locator("#answer").inner_text())[1:3] == pytest.approx(
        [whole, without(model, batch, factor)], abs=0.051
    )
    page.keyboard.press("Escape")
    expect(page.locator("#answer")).to_contain_text("Because of place 1")
    assert not field_of(page, "off")


def test_a_click_on_a_position_tells_its_channels(page: Page, studio: Studio, studio_server: StudioServer) -> None:
    model, photo = own_model(), photo_named(studio, JAY)
    batch = input_of(studio, photo, model)
    page.goto(f"{studio_server.address}#/decision?photo={photo}")
    expect(page.locator("#answer")).to_contain_text("Because of place 1")
    picture = page.get_by_role("application", name=re.compile("with the evidence"))
    box = picture.bounding_box()
    assert box
    picture.click(position={"x": 12.5 / 20 * box["width"], "y": 5.5 / 20 * box["height"]})
    expect(page.locator("#answer")).to_contain_text("at row 6, column 13")
    why = foveal.explain(model, batch, foveal.Margin(JAY, OTHER), layer="stage3", method="hirescam")
    caption = page.locator(".bringing caption")
    expect(caption).to_contain_text("there")
    assert numbers(caption.inner_text())[-1] == pytest.approx(float(why.map[0, 5, 12]), abs=0.051)
    page.get_by_role("button", name="All 128 channels there").click()
    expect(page.locator("#answer")).to_contain_text("With everything off at row 6, column 13")
    factor = torch.ones(1, 1, 20, 20)
    factor[..., 5, 12] = 0
    left = without(model, batch, factor)
    assert numbers(page.locator("#answer").inner_text())[1] == pytest.approx(left, abs=0.051)

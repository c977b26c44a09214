"""A row of a run with finer maps, as a person opens it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from playwright.sync_api import expect

import foveal
from foveal.webapp.opened_run import show_run
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio
from tests.runs.photos import drawn, network, ran

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

ROW = 2


def test_a_finer_map_is_that_of_the_run_and_is_left_for_the_layers_own(tmp_path: Path, page: Page) -> None:
    model = network()
    photos = drawn(tmp_path / "photos", 6)
    run = ran(photos, tmp_path / "run", model=model, method="hirescam", resolution=2, scales=(1, 1.5))
    studio = Studio({"tiny": model})
    show_run(studio, run)
    with serving(studio, port=0) as server:
        page.goto(f"{server.address}#/atlas?row={ROW}")
        page.get_by_role("region", name="Decision").get_by_role("button", name="Decision", exact=True).click()
        finer = page.get_by_role("button", name="2 times finer, scales 1, 1.5")
        expect(finer).to_be_visible()
        expect(page.get_by_text("a mean over scales 1, 1.5")).to_be_visible()
        code = page.locator("footer code")
        expect(code).to_contain_text("resolution=2, scales=[1, 1.5]")
        assert torch.allclose(called(code.inner_text(), model).map[0], run.row_maps(ROW)["two"], atol=2e-3)
        page.get_by_role("button", name=re.compile("Switch off a part")).click()
        expect(page).not_to_have_url(re.compile("finer="))
        page.go_back()
        finer.click()
        expect(finer).to_have_count(0)
        expect(code).not_to_contain_text("resolution")
        page.get_by_role("link", name="Atlas").click()


def called(code: str, model: Any) -> Any:
    """What the code at the foot of the page gives."""
    return eval(code, {"foveal": foveal, "model": model})

"""A view is taken along: as a link, a file, code that gives the same, a figure, a page from disk."""

from __future__ import annotations

import io
import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.synthetic import demo_scenes, render
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio
from tests.recorded import answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Download, Page

    from foveal.webapp.serve import StudioServer

PLACES = re.compile("Where the evidence lies")


@pytest.fixture
def opened(studio_server: StudioServer, new_page: Callable[..., Page]) -> Page:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{studio_server.address}#/decision?method=layercam&layer=stage1")
    expect(page.get_by_role("table", name=PLACES)).to_be_visible()
    return page


def share(page: Page, entry: str) -> Any:
    page.get_by_role("button", name="Share").click()
    return page.get_by_role("dialog", name="Share").get_by_role("button", name=entry)


def saved(page: Page, entry: str) -> Download:
    button = share(page, entry)
    with page.expect_download() as download:
        button.click()
    return download.value


def content(download: Download) -> bytes:
    return download.path().read_bytes()


def test_the_link_and_the_code_are_copied(opened: Page) -> None:
    share(opened, "Copy link").click()
    expect(opened.get_by_text("Copied", exact=True)).to_be_visible()
    link = opened.evaluate("navigator.clipboard.readText()")
    assert link == opened.url and "layer=stage1" in link and "token" not in link
    share(opened, "Copy as Python").click()
    expect(opened.get_by_text("Copied", exact=True)).to_be_visible()
    assert opened.evaluate("navigator.clipboard.readText()").startswith("foveal.explain(")
    expect(opened.get_by_role("button", name="as command")).to_have_count(0)


def test_a_view_is_saved_and_loaded(opened: Page, tmp_path: Path) -> None:
    download = saved(opened, "Save view as JSON")
    view = json.loads(content(download))
    assert download.suggested_filename == "coral-spoonbill.view.json"
    assert view["format"] == "foveal-view/1" and view["python"].startswith("foveal.explain(")
    opened.get_by_role("navigation").get_by_role("link", name="Methods").click()
    opened.get_by_role("button", name="Share").click()
    chooser = opened.get_by_role("dialog", name="Share").get_by_label("Load view")
    (tmp_path / "no.json").write_text("{}")
    chooser.set_input_files(tmp_path / "no.json")
    expect(opened.get_by_role("alert")).to_have_text("no.json is not a view that was saved here: choose another.")
    (tmp_path / "other.json").write_text(json.dumps({**view, "address": "#/decision?photo=1f", "photo": "x.png"}))
    chooser.set_input_files(tmp_path / "other.json")
    expect(opened.get_by_role("alert")).to_contain_text("The photo of this view, x.png, is not open here")
    (tmp_path / "view.json").write_text(json.dumps(view))
    chooser.set_input_files(tmp_path / "view.json")
    expect(opened.get_by_role("slider", name="Depth")).to_have_attribute("aria-valuetext", re.compile("stage1"))
    assert "method=layercam" in opened.url and opened.get_by_label("Method").input_value() == "layercam"


def test_the_figure_is_that_of_the_result(opened: Page) -> None:
    why = foveal.explain(
        foveal.load_model("demo"), render(demo_scenes()[0])[0], foveal.Margin(), method="layercam", layer="all"
    )
    image = Image.open(io.BytesIO(content(saved(opened, "Figure as PNG"))))
    own = why.figure()
    assert image.size == own.size and np.abs(np.asarray(image, int) - np.asarray(own, int)).mean() < 1
    assert b"<svg" in content(saved(opened, "Figure as SVG"))[:300]
    assert content(saved(opened, "Figure as PDF")).startswith(b"%PDF")


def test_a_page_from_disk_holds_what_was_looked_at_on_this_photo(
    opened: Page, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    opened.get_by_role("button", name="Next photo").click()
    expect(opened.get_by_role("table", name=PLACES)).to_be_visible()
    expect(opened.get_by_role("heading", level=1)).not_to_contain_text("Coral Spoonbill and")
    opened.get_by_role("button", name="Previous photo").click()
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Coral Spoonbill")
    expect(opened.get_by_role("table", name=PLACES)).to_be_visible()
    told = opened.get_by_role("table", name=PLACES).inner_text()
    download = saved(opened, "Page that opens from disk")
    page = content(download).decode()
    ((_, library),) = answers(page, "library")
    assert [photo["name"] for photo in library["photos"]] == ["coral-spoonbill.png"]
    assert [query["method"] for query, _ in answers(page, "decision")] == ["layercam"]
    disk = new_page()
    requests: list[str] = []
    disk.on("request", lambda request: requests.append(request.url))
    download.save_as(tmp_path / "page.html")
    disk.goto((tmp_path / "page.html").as_uri())
    expect(disk.get_by_role("table", name=PLACES)).to_be_visible()
    assert disk.get_by_role("table", name=PLACES).inner_text().splitlines()[0] == told.splitlines()[0]
    assert len([url for url in requests if not url.startswith(("data:", "blob:"))]) == 1


def ran(code: str) -> list[Any]:
    """What the lines of the page give, run as a person would run them."""
    scope: dict[str, Any] = {"foveal": foveal, "model": foveal.load_model("demo")}
    lines = [re.sub(r"^\w+ = ", "", line) for line in code.splitlines()]
    return [eval(line, scope) for line in lines if line]


def squeezed(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()


@pytest.mark.parametrize("view", ["decision", "methods", "parts", "match", "tree"])
def test_the_copied_python_gives_the_same(view: str, studio_server: StudioServer, page: Page) -> None:
    page.goto(f"{studio_server.address}#/{view}?model=demo")
    line = page.get_by_role("contentinfo").locator("code")
    expect(line).to_contain_text("foveal.", timeout=60_000)
    expect(page.get_by_role("contentinfo")).to_contain_text(re.compile(r"\d s"), timeout=60_000)
    results = ran(line.text_content() or "")
    found = results[0]
    if view == "decision":
        rows = page.get_by_role("table", name=PLACES).locator("tbody tr").all()
        claims = [
            row.locator("td.number").first.inner_text() for row in rows
        ]  # the map's column, then what hiding does
        total = sum(float(text.split()[0].replace("−", "-")) for text in claims)
        assert total == pytest.approx(float(found.map.sum()), abs=0.06 * len(claims))
    elif view == "tree":
        expect(page.get_by_text(f"{found.decision.value:.2f}").first).to_be_visible()
    elif view == "match":
        expect(page.get_by_text(f"{found.value(0, 0):.3f}").first).to_be_visible()
    elif view == "parts":
        assert len(found.evidence[0]) == 3
    else:
        told = page.get_by_role("grid").get_by_role("columnheader").all_inner_texts()
        titles = [foveal.METHODS[why.method].title for whys in results for why in whys]
        assert sorted(squeezed(title) for title in titles) == sorted(squeezed(text) for text in told if text.strip())


def test_the_copied_command_runs(new_page: Callable[..., Page], tmp_path: Path) -> None:
    file = tmp_path / "a bird.png"
    Image.fromarray(render(demo_scenes()[0])[0]).save(file)
    studio = Studio({"demo": foveal.load_model("demo")})
    studio.add_photos([file])
    with serving(studio, port=0) as server:
        page = new_page(permissions=["clipboard-read", "clipboard-write"])
        page.goto(f"{server.address}#/decision?method=layercam&layer=stage1")
        page.get_by_role("button", name="as command").click()
        expect(page.get_by_text("Copied", exact=True)).to_be_visible()
        words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
        page.context.close()
    assert words[:2] == ["foveal", "explain"] and str(file) in words
    done = CliRunner().invoke(app, [*words[1:], "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    mine = foveal.explain(foveal.load_model("demo"), file, foveal.Margin(), method="layercam", layer="stage1")
    (folder,) = (manifest.parent for manifest in (tmp_path / "out").rglob("manifest.json"))
    assert torch.allclose(foveal.Explanation.load(folder).map, mine.map)

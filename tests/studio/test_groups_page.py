"""Groups that the page found: kept where they are wanted, and whatever is selected as Python that gives the same."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import foveal
from foveal.errors import ResultError
from foveal.webapp.asks.atlas import AtlasQuery, atlas
from foveal.webapp.asks.atlas_groups import save
from foveal.webapp.opened_run import show_run
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio
from tests.runs.photos import network, ran

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from foveal.runs.reasons import Reasons
    from foveal.runs.result import Run

MODEL = network()
COUNT = 36
COLORS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Pictures of two labels in four colors, which decide in different ways; and one that cannot be read."""
    folder, random = tmp_path_factory.mktemp("groups"), np.random.default_rng(1)
    photos = folder / "photos"
    for number in range(COUNT):
        pixels = random.integers(0, 256, (20, 24, 3)) * np.array(COLORS[number // 2 % 4])
        place = photos / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number:02d}.png")
    (photos / "a" / "zz.png").write_bytes(b"no picture")
    return ran(photos, folder / "run", model=MODEL, method="hirescam", contributions=True)


def shown(what: Run | Reasons) -> Studio:
    studio = Studio({"tiny": MODEL})
    show_run(studio, what)
    return studio


class Watched:
    """A page of the atlas, what it selects and what its line of code gives."""

    def __init__(self, page: Page, studio: Studio) -> None:
        self.page, self.studio = page, studio
        self._points: dict[str, Any] = {}
        page.on("request", self._hear)

    def _hear(self, request: Any) -> None:
        if request.url.endswith("/api/atlas_mean"):
            self._points = json.loads(request.post_data)

    def ids(self) -> list[int]:
        """Of the pictures whose maps the page asked the mean of last."""
        assert self.studio.atlas is not None
        bits = np.unpackbits(np.frombuffer(base64.b64decode(self._points["points"]), np.uint8), bitorder="little")
        rows = self.studio.atlas.placed(lambda *told: None).rows[np.flatnonzero(bits)]
        return [int(id) for id in self.studio.atlas.run["id"][rows]]

    def in_python(self) -> Any:
        *before, last = self.page.locator("footer code").inner_text().split("; ")
        names = {"foveal": foveal, "model": MODEL}
        exec("; ".join(before), names)
        return eval(last, names)


def selections(run: Run, group: int) -> dict[str, int]:
    """Addresses of selections."""
    low = float(np.median(run["score"][np.isfinite(run["score"])]))
    area = "inside=0.0~1000.0~1000.600~0.600"
    return {
        f"reason={group}": 1, f"reason={group}&range=score:{low:.4f}:": 1, "labeled=a&outcome=wrong": 0,
        f"range=typical:0.25:0.75~score::{low:.4f}": 1, area: 0, f"{area}&labeled=b": 0, f"{area}&reason={group}": 1,
        "outcome=right": 0,
    }  # fmt: skip


def same_code(watched: Watched, address: str, selected: dict[str, int], grouped: bool) -> None:
    for fields, needs_groups in selected.items():
        if grouped or not needs_groups:
            with watched.page.expect_request("**/api/atlas_mean"):
                watched.page.goto(f"{address}#/atlas?{fields}")
            chosen = watched.in_python()
            assert chosen["id"].tolist() == watched.ids() != [], fields
            assert 0 < len(chosen) < COUNT, fields


@pytest.mark.slow
def test_groups_are_saved_beside_the_run_and_shown_again(run: Run, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = shown(run)
    watched = Watched(page, studio)
    files = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    with serving(studio, port=0) as server:
        same_code(watched, server.address, selections(run, 0), grouped=False)
        page.get_by_role("button", name="Show everything").click()
        page.get_by_role("button", name="Group by reason").click()
        expect(page.get_by_role("button", name="Save groups")).to_be_visible()
        code = page.locator("footer code")
        expect(code).to_have_text(f"foveal.reasons(foveal.Run.load({str(run.folder)!r}), model)")
        found = watched.in_python()
        assert studio.atlas is not None and studio.atlas.reasons is not None
        assert found.group.tolist() == studio.atlas.reasons.group.tolist()
        monkeypatch.setattr(foveal, "reasons", lambda run, model: found)  # the same again, not found again
        selected = selections(run, int(np.bincount(found.group).argmin()))
        same_code(watched, server.address, selected, grouped=True)

        page.goto(f"{server.address}#/atlas?labeled=a")
        page.get_by_role("button", name="Save groups").click()
        folder = run.folder.parent / "run-reasons"
        expect(page.get_by_text(f"Saved in {folder}")).to_be_visible()
        assert folder.is_dir() and files == {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
        page.get_by_role("button", name="Show everything").click()
        expect(code).to_have_text(f"foveal.Reasons.load({str(folder)!r})")
        same_code(watched, server.address, selected, grouped=True)

    again = foveal.Reasons.load(folder)
    assert again.group.tolist() == found.group.tolist() and again.folder == folder
    studio = shown(again)
    with serving(studio, port=0) as server:
        page.goto(f"{server.address}#/atlas")
        expect(page.get_by_text(re.compile(rf"^{len(again.groups)} groups by reason"))).to_be_visible()
        expect(page.get_by_text(f"Saved in {folder}")).to_be_visible()
        expect(page.get_by_role("button", name="Save groups")).to_have_count(0)
        page.get_by_label("Outcome").select_option("failed")
        expect(code).to_contain_text(".failed")
        assert watched.in_python()["id"].tolist() == run.failed["id"].tolist()


def silent(*told: object) -> None:
    pass


def test_a_name_that_is_taken_is_left_alone(run: Run, tmp_path: Path) -> None:
    ours = Path(run.folder).rename(tmp_path / "run")
    try:
        there = foveal.Run.load(ours)
        (tmp_path / "run-reasons").mkdir()
        (tmp_path / "run-reasons" / "mine.txt").write_text("mine")
        found = foveal.reasons(there, MODEL, effects=False)
        studio = shown(found)
        before = studio.atlas
        assert before is not None and before.grouping == "reasons" and before.saved is None
        key = save(studio, AtlasQuery(run=before.key), silent).run
        assert studio.atlas is not None and studio.atlas.key == key != before.key
        assert studio.atlas.saved == tmp_path / "run-reasons-2"
        assert [path.name for path in (tmp_path / "run-reasons").iterdir()] == ["mine.txt"]
        assert save(studio, AtlasQuery(run=key), silent).run == key  # once is enough
        with pytest.raises(ResultError, match="shows another run by now"):
            save(studio, AtlasQuery(run=before.key), silent)
        plain = shown(there)
        assert plain.atlas is not None
        with pytest.raises(ResultError, match="group them first"):
            save(plain, AtlasQuery(run=plain.atlas.key), silent)
    finally:
        (tmp_path / "run").rename(run.folder)


def test_a_run_is_called_as_python_gets_it(run: Run) -> None:
    def load(what: Run) -> str:
        studio = shown(what)
        assert studio.atlas is not None
        said = atlas(studio, AtlasQuery(run=studio.atlas.key), silent)
        assert not said.grouping and not said.saved
        return said.load

    whole = f"foveal.Run.load({str(run.folder)!r})"
    assert load(run) == whole and load(run[:7]) == f"{whole}[:7]" and load(run[3:7]) == "run"
    moved = replace(run, root=run.root.parent)
    assert load(moved) == f"foveal.Run.load({str(run.folder)!r}, root={str(run.root.parent)!r})"

"""The atlas of a run: what the studio says of it is what the run says, and a person finds their way through it."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect

import foveal
from foveal.errors import FovealError, ModelError, ResultError
from foveal.models import Model
from foveal.runs.group_effect import GroupEffect
from foveal.runs.reasons import ReasonGroup, Reasons
from foveal.webapp import atlas_places
from foveal.webapp.asks import alike
from foveal.webapp.atlas import Atlas, _fine
from foveal.webapp.opened_run import show_run
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio
from tests.runs.photos import drawn, network, ran
from tests.studio.asking import Client, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from foveal.runs.result import Run

COUNT = 24


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Twenty-four pictures of two classes, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("atlas")
    photos = drawn(folder / "photos", COUNT)
    (photos / "a" / "zz.png").write_bytes(b"no picture")
    return ran(photos, folder / "run", method="hirescam", contributions=True)


@pytest.fixture(scope="module")
def reasons(run: Run) -> Reasons:
    """Two groups of each predicted class, the smaller one flagged."""
    rows = np.flatnonzero([error is None for error in run["error"]])
    group, groups = np.zeros(len(rows), np.intp), list[ReasonGroup]()
    for name in sorted(set(run["predicted"][rows])):
        own = np.flatnonzero(run["predicted"][rows] == name)
        for part, odd in ((own[2:], False), (own[:2], True)):
            if not len(part):
                continue
            group[part] = len(groups)
            tests = (GroupEffect(3.1, 0.4, 0.2, 1.0, 0.01), GroupEffect(0.3, 0.2, 0.1, 0.8, 0.6)) if odd else ()
            groups.append(ReasonGroup(name, rows[part], run[rows[part]].maps().mean(0), (1,), odd, *tests))
    places = np.random.default_rng(2).random((len(rows), 2), np.float32)
    return Reasons(run, rows, places, group, np.linspace(0, 1, len(rows), dtype=np.float32), tuple(groups))


@pytest.fixture(scope="module")
def maps_run(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same without contributions."""
    return ran(run.root, tmp_path_factory.mktemp("maps") / "run", method="hirescam")


def shown(what: Run | Reasons) -> Studio:
    studio = Studio({"tiny": network()})
    show_run(studio, what)
    return studio


def atlas_in(studio: Studio) -> Atlas:
    assert studio.atlas is not None
    return studio.atlas


@dataclass(frozen=True)
class AtlasClient(Client):
    """Asks about the run that is shown."""

    run: str = ""

    def ask(self, name: str, **query: Any) -> Reply:
        about = {"run": self.run} if name.startswith(("atlas", "alike")) else {}
        return super().ask(name, **about | query)


@pytest.fixture(scope="module")
def atlas_client(run: Run) -> Iterator[AtlasClient]:
    studio = shown(run)
    with serving(studio, port=0) as server:
        yield AtlasClient(server, run=atlas_in(studio).key)


@pytest.fixture(scope="module")
def grouped_client(reasons: Reasons) -> Iterator[AtlasClient]:
    studio = shown(reasons)
    with serving(studio, port=0) as server:
        yield AtlasClient(server, run=atlas_in(studio).key)


def numbers(text: str, kind: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(text), kind)


def bits(points: list[int], count: int) -> str:
    chosen = np.zeros(count, np.uint8)
    chosen[points] = 1
    return base64.b64encode(np.packbits(chosen, bitorder="little").tobytes()).decode()


def values(map: dict[str, Any]) -> np.ndarray[Any, Any]:
    return numbers(map["values"], "<f2").astype(np.float32).reshape(map["rows"], map["columns"]) * map["scale"]


def unit(each: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(each / np.linalg.norm(each, axis=1, keepdims=True))


def said_in_code(page: Page, reasons: Reasons) -> Any:
    """What the line of code at the foot of the page gives to whoever opened these `reasons`."""
    *before, last = page.locator("footer code").inner_text().split("; ")
    known: dict[str, Any] = {"foveal": foveal, "reasons": reasons}
    exec("; ".join(before), known)
    return eval(last, known)


def test_a_point_is_a_row_with_the_numbers_and_classes_of_the_run(run: Run, atlas_client: Client) -> None:
    said = atlas_client.answer("atlas")
    rows = numbers(said["rows"], "<i4")
    assert rows.tolist() == np.flatnonzero([error is None for error in run["error"]]).tolist()
    assert said["points"] == COUNT and said["failures"] == 1 and run["error"][said["failed"][0]] is not None
    for column in said["texts"]:
        codes = numbers(column["codes"], "<i4")
        assert [column["values"][code] for code in codes] == run[column["name"]][rows].tolist()
    assert [column["name"] for column in said["numbers"]] == ["score", "probability"]
    for column in said["numbers"]:
        assert numbers(column["values"], "<f4").tolist() == run[column["name"]][rows].tolist()
    assert said["load"] == f"foveal.Run.load({str(run.folder)!r})" and not said["groups"]


@pytest.mark.parametrize("by", ["contributions", "maps"])
def test_places_are_the_principal_components_of_what_is_compared(by: str, run: Run, maps_run: Run) -> None:
    run = maps_run if by == "maps" else run
    there = atlas_in(shown(run)).placed(lambda *_: None)
    whole = run.explained
    each = whole.contributions() if by == "contributions" else whole.maps().flatten(1).numpy()
    reasons = unit(each) - unit(each).mean(0)
    axes = np.linalg.eigh(reasons.T.astype(float) @ reasons)[1][:, :-3:-1]
    points = reasons @ axes
    span = (points.max(0) - points.min(0)).max()
    assert there.by == by
    for k in range(2):
        ours, own = there.places[:, k] - there.places[:, k].mean(), (points[:, k] - points[:, k].mean()) / span
        assert min(np.abs(ours - own).max(), np.abs(ours + own).max()) < 2e-3  # 16 bits, and a sign
    assert there.places.min() >= 0 and there.places.max() <= 1
    again = atlas_in(shown(run)).placed(lambda *_: None)
    assert np.array_equal(there.places, again.places)


def test_more_decisions_than_are_drawn_are_thinned_evenly_and_it_is_said(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas_places, "MOST_POINTS", 5)
    there = atlas_in(shown(run)).placed(lambda *_: None)
    assert len(there.rows) == 5 and there.rows[0] == 0 and there.rows[-1] == len(run.explained)
    assert there.notes == ("of 24 decisions 5 are taken, evenly out of all",)


def test_a_row_has_its_photo_its_map_and_why_it_failed(run: Run, atlas_client: Client) -> None:
    failed = int(np.flatnonzero([error is not None for error in run["error"]])[0])
    first, broken, again = atlas_client.answer("atlas_rows", rows=[3, failed, 3])["rows"]
    assert first == again and first["name"] == run["uri"][3] and first["predicted"] == run["predicted"][3]
    map = run.row_maps(3)["two"].numpy()
    assert np.abs(values(first["map"]) - map).max() <= 1e-3 * np.abs(map).max()
    picture = Image.open(io.BytesIO(base64.b64decode(first["thumb"].partition(",")[2])))
    assert picture.size == (24, 20) == (first["width"], first["height"])
    assert broken["map"] is None and not broken["thumb"] and "cannot read this image" in broken["problem"]
    assert "no row 900" in atlas_client.problem("atlas_rows", rows=[0, 900])


def test_the_mean_map_of_a_selection_is_that_of_its_rows(run: Run, atlas_client: Client) -> None:
    points = [0, 5, 11, 23]
    said = atlas_client.answer("atlas_mean", points=bits(points, COUNT))
    rows = numbers(atlas_client.answer("atlas")["rows"], "<i4")[points]
    wanted = run[rows].maps().mean(0).numpy()
    assert said["count"] == 4 and np.abs(values(said["map"]) - wanted).max() <= 1e-3 * np.abs(wanted).max()
    assert atlas_client.answer("atlas_mean", points=bits([], COUNT))["map"] is None
    assert "beyond the 24" in atlas_client.problem("atlas_mean", points=bits([40], 48))
    assert "cannot be read" in atlas_client.problem("atlas_mean", points="A")


def test_maps_of_several_sizes_have_a_mean_of_cells(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.webapp.asks import atlas

    studio = shown(run)
    atlas_in(studio).placed(lambda *_: None)
    sizes = iter([(4, 4), (8, 8)] * COUNT)
    monkeypatch.setattr(atlas, "read_maps", lambda *of: [{"two": torch.ones(next(sizes))} for _ in of[2]])
    said = atlas.mean(studio, atlas.MeanQuery(run=atlas_in(studio).key, points=bits([0, 1, 2], COUNT)), lambda *_: None)
    assert said.notes == ["the maps differ in size; their mean is that of 4 × 4 cells"] and said.map
    assert np.allclose(values(said.map.model_dump()), 1)


def test_others_decided_for_this_reason_have_the_largest_cosine(run: Run, atlas_client: Client) -> None:
    rows = np.flatnonzero([error is None for error in run["error"]])
    reasons = unit(run[rows].contributions())
    row = int(rows[7])
    likeness = reasons @ reasons[7]
    wanted = [i for i in np.argsort(-likeness) if rows[i] != row][:12]
    said = atlas_client.answer("alike_row", row=row)
    assert said["by"] == "contributions" and said["of"] == COUNT and row not in [one["row"] for one in said["rows"]]
    assert said["likeness"] == pytest.approx(likeness[wanted].tolist(), abs=2e-3)
    assert {one["row"] for one in said["rows"][:5]} <= {int(rows[i]) for i in wanted}
    opened = atlas_client.answer("atlas_open", row=row)
    asked = {"photo": opened["photo"]["hash"], "model": "tiny"}
    here = atlas_client.answer("alike", **asked)
    assert here["likeness"] == pytest.approx(said["likeness"], abs=2e-3)
    layer = atlas_client.answer("atlas")["contributing"]
    by_channel = atlas_client.answer("alike_channel", layer=layer, channel=1)
    assert by_channel["likeness"] == pytest.approx(np.sort(reasons[:, 1])[::-1][:12].tolist(), abs=2e-3)
    assert "no channel 900" in atlas_client.problem("alike_channel", layer=layer, channel=900)
    assert "no contributions of the channels of one" in atlas_client.problem("alike_channel", layer="one", channel=0)


def test_without_contributions_maps_are_compared(maps_run: Run) -> None:
    studio = shown(maps_run)
    key, silent = atlas_in(studio).key, lambda *_: None
    said = alike.alike_row(studio, alike.AlikeRowQuery(run=key, row=3), silent)
    maps = unit(maps_run.explained.maps().flatten(1).numpy())
    likeness = np.sort(np.delete(maps @ maps[3], 3))[::-1][:12]
    assert said.by == "maps" and said.likeness == pytest.approx(likeness.tolist(), abs=2e-3)
    photo = studio.photos.add(str(maps_run.root / maps_run["uri"][3]), "3").hash
    query = alike.AlikeQuery(run=key, photo=photo, model="tiny")
    assert alike.alike(studio, query, silent).likeness == pytest.approx(likeness.tolist(), abs=2e-3)
    with pytest.raises(ResultError, match="no contributions of the channels of two"):
        alike.alike_channel(studio, alike.AlikeChannelQuery(run=key, layer="two", channel=0), silent)


def test_a_fine_map_is_as_fine_as_a_small_photo_shows_it() -> None:
    map = torch.rand(112, 84)
    assert torch.equal(_fine(map[:56, :50]), map[:56, :50])
    assert torch.allclose(_fine(map)[:, 0], torch.stack([map[2 * k : 2 * k + 2, :2].mean() for k in range(56)]))


def test_an_opened_row_is_the_decision_of_the_run(run: Run, atlas_client: Client) -> None:
    opened = atlas_client.answer("atlas_open", row=9)
    fields = dict(pair.split("=") for pair in opened["address"].partition("?")[2].split("&"))
    said = atlas_client.answer("decision", **{name: fields[name] for name in ("photo", "model", "target", "method")})
    map = run.row_maps(9)["two"].numpy()
    layer = said["layers"].index(fields["layer"])
    assert np.abs(values(said["maps"][layer]) - map).max() <= 2e-3 * np.abs(map).max()
    assert said["score"] == pytest.approx(run["score"][9], abs=1e-5)
    failed = int(np.flatnonzero([error is not None for error in run["error"]])[0])
    assert "was not explained" in atlas_client.problem("atlas_open", row=failed)


def test_groups_are_those_of_reasons(reasons: Reasons, grouped_client: Client) -> None:
    said = grouped_client.answer("atlas")
    assert numbers(said["group"], "<i4").tolist() == reasons.group.tolist()
    assert np.abs(numbers(said["places"], "<u2").reshape(-1, 2) / 65535 - reasons.places).max() < 1e-4
    for one, group in zip(said["groups"], reasons.groups, strict=True):
        told = (one["class_name"], one["points"], one["odd"], one["flagged"])
        assert told == (group.class_name, len(group), group.odd, group.flagged)
        for name in ("hiding", "appearance"):
            test = group.tests.get(name)
            assert one[name] == (test and {key: getattr(test, key) for key in ("effect", "chance", "spread", "p")})
        assert np.allclose(values(one["map"]), group.mean_map, atol=1e-3 * float(group.mean_map.abs().max()))
    assert [column["name"] for column in said["numbers"]] == ["score", "probability", "typical"]


def test_what_cannot_be_shown_is_one_sentence(run: Run, client: Client, tmp_path: Path) -> None:
    other = network()
    with torch.no_grad():
        next(other.module.parameters()).add_(1)
    with pytest.raises(ModelError, match="other weights: open the studio with the network that made the run"):
        show_run(Studio({"tiny": other}), run)
    with pytest.raises(ResultError, match="has no rows"):
        show_run(Studio({"tiny": network()}), run[:0])
    with pytest.raises(ResultError, match="every one of its images failed"):
        atlas_in(shown(run.failed)).placed(lambda *_: None)
    with pytest.raises(ResultError, match="this studio shows no run"):
        Studio({"tiny": network()}).atlas_or_refuse("")
    assert "this studio shows no run" in client.problem("atlas", run="")
    assert not client.answer("library")["atlas"]


def test_a_studio_of_a_run_in_python(run: Run, reasons: Reasons) -> None:
    from foveal.webapp.asks.library import LibraryQuery, library

    with foveal.studio(network(), run=run, open=False, port=0) as handle:
        assert library(handle._studio, LibraryQuery(), lambda *_: None).atlas and len(handle._studio.photos) == 1
        first = atlas_in(handle._studio)
        assert first.reasons is None
        handle.open(reasons)
        assert atlas_in(handle._studio).reasons is reasons
        with pytest.raises(ResultError, match="shows another run by now: load the page again"):
            handle._studio.atlas_or_refuse(first.key)
    with pytest.raises(FovealError, match="tiny"):  # a run names its network, and this one has no name to load it by
        foveal.studio(run, open=False, port=0)
    assert isinstance(network(), Model)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_barrier_is_gone(
    grouped_client: Client, new_page: Callable[..., Page], axe: Callable[[Page], None], scheme: str
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": 390 if scheme == "dark" else 1440, "height": 900})
    page.goto(f"{grouped_client.server.address}#/atlas?row=3&range=score::100")
    expect(page.get_by_role("heading", name=re.compile("png"))).to_be_visible()
    expect(page.get_by_role("region", name="Photos of the selection").get_by_role("button").first).to_be_visible()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_person_selects_looks_and_opens(grouped_client: Client, reasons: Reasons, page: Page) -> None:
    page.goto(grouped_client.server.address)
    selection = page.get_by_role("region", name="Selection")
    expect(selection.get_by_text(f"{COUNT} decisions", exact=True)).to_be_visible()  # the run is what is shown first
    expect(page).to_have_url(re.compile("#/atlas"))

    page.get_by_text("Rectangle", exact=True).click()
    field = page.get_by_role("application")
    box = field.bounding_box()
    assert box
    room = box["width"] - 28
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 14 + room / 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    left = int((reasons.places[:, 0] < 0.5).sum())
    expect(selection.get_by_text(f"{left} decisions selected")).to_be_visible()
    cards = page.get_by_role("region", name="Photos of the selection").get_by_role("button")
    expect(cards).to_have_count(left)
    inside = reasons.rows[reasons.places[:, 0] < 0.5]
    assert said_in_code(page, reasons).table["id"].tolist() == reasons.run["id"][inside].tolist()

    page.get_by_role("button", name="Show everything").click()
    odd = next(number for number, group in enumerate(reasons.groups) if group.odd)
    link = page.get_by_role("row", name=re.compile(f"group {odd + 1} flagged"))
    expect(link).to_contain_text("hiding what they share: 3.1 here, 0.4 ± 0.2 in others of the class")
    link.get_by_role("button").press("Enter")
    expect(cards).to_have_count(len(reasons.groups[odd]))
    cards.first.click()
    panel = page.get_by_role("region", name="Decision")
    row = int(reasons.groups[odd].rows[0])
    expect(panel.get_by_role("heading")).to_have_text(reasons.run["uri"][row])
    panel.get_by_role("button", name="Others decided for this reason").click()
    expect(panel.get_by_role("list", name="Others decided for this reason").get_by_role("button")).to_have_count(12)
    panel.get_by_role("button", name="Decision", exact=True).click()
    expect(page.get_by_role("application", name=re.compile(reasons.run["uri"][row].split("/")[1]))).to_be_visible()
    expect(page).to_have_url(re.compile(rf"#/decision\?.*reason={odd}"))
    page.get_by_role("link", name="Atlas").click()  # the selection is where it was
    expect(cards).to_have_count(len(reasons.groups[odd]))


def test_filters_leave_what_the_run_would(grouped_client: Client, reasons: Reasons, page: Page) -> None:
    run = reasons.run
    low = float(np.median(run["score"][np.isfinite(run["score"])]))
    page.goto(f"{grouped_client.server.address}#/atlas?labeled=a&outcome=wrong&range=score:{low}:&color=score")
    mask = (run["label"] == "a") & (run["predicted"] != "a") & (run["score"] >= low)
    mask &= np.array([error is None for error in run["error"]])
    shown = f"{int(mask.sum())} decisions of {COUNT}" if mask.any() else "No decision fits"
    selection = page.get_by_role("region", name="Selection", exact=True)
    expect(selection).to_contain_text(shown)
    assert said_in_code(page, reasons).table["id"].tolist() == run["id"][mask].tolist()
    page.get_by_label("Outcome").select_option("failed")
    expect(selection).to_contain_text("One image was not explained")
    expect(page.locator("footer code")).to_contain_text(".failed")
    assert said_in_code(page, reasons).table["id"].tolist() == run.failed["id"].tolist()

"""The grid of methods as a person uses it: bars, words and maps are those of Python."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import foveal
from foveal.synthetic import demo_scenes
from foveal.synthetic.agreement import share, top_part
from foveal.synthetic.drawing import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from playwright.sync_api import Locator, Page

    from foveal.models import Model
    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio
    from tests.studio.asking import Client

JAY, OTHER = "Fan-crested Jay", "Crown-crested Jay"
PATIENT = 40_000  # ms: the machine may be busy
SCENE = next(scene for scene in demo_scenes() if scene.class_name == JAY)


@pytest.fixture(scope="module")
def jay(studio: Studio) -> str:
    return next(photo.hash for photo in studio.photos if photo.scene == SCENE)


@pytest.fixture(scope="module")
def model() -> Model:
    return foveal.load_model("demo")


@pytest.fixture
def opened(studio_server: StudioServer, page: Page, jay: str) -> Page:
    page.goto(f"{studio_server.address}#/methods?photo={jay}")
    expect(page.locator("#agreement")).to_contain_text(re.compile("In parts, .* truly decides"), timeout=PATIENT)
    return page


def on_scene(model: Model, method: str, layer: str | None) -> NDArray[np.floating]:
    """A map in the scene's pixels."""
    return foveal.explain(model, [render(SCENE)[0]], foveal.Margin(JAY, OTHER), method=method, layer=layer).on_photo(0)


def cell(page: Page, name: str) -> Locator:
    """The cell with this map."""
    return page.get_by_role("gridcell").filter(has=page.get_by_role("img", name=name, exact=True))


def percent(place: Locator) -> float:
    """The number beside a bar."""
    found = re.search(r"(−?[\d.]+)\s?%", place.inner_text())
    assert found, place.inner_text()
    return float(found[1].replace("−", "-"))


def test_bars_are_shares_on_the_part_that_decides(opened: Page, model: Model) -> None:
    for method, layer, name in (
        ("gradcam", "stage1", "Grad-CAM at stage1 of demo"),
        ("hirescam", "stage3", "HiResCAM at stage3 of demo"),
        ("lrp-gamma", None, "LRP-γ at the input of demo"),
    ):
        expected = share(on_scene(model, method, layer), render(SCENE)[1], ["crest"])
        assert percent(cell(opened, name)) == pytest.approx(100 * expected, abs=0.6)


def test_the_words_are_true(opened: Page, model: Model) -> None:
    labels = render(SCENE)[1]
    for method, layer in (("gradcam", "stage3"), ("hirescam", "stage1"), ("guidedbackprop", None)):
        assert top_part(on_scene(model, method, layer), labels) == "crest"
    said = opened.locator("#agreement").inner_text()
    assert said.startswith("In demo, every map has its strongest evidence on the crest, which truly decides.")
    speaks = on_scene(foveal.load_model("parts"), "gradcam", None)
    assert speaks[labels == labels.max(initial=0, where=labels == 5)].sum() < 0  # on the crest
    assert "Grad-CAM speaks against it" in said
    assert "LRP-γ cannot run" in said
    best = max(percent(row) for row in opened.get_by_role("listitem").filter(has=opened.get_by_role("img")).all())
    assert percent(opened.locator("#agreement .quiet").first) == best


def test_what_cannot_run_keeps_its_cell_and_can_be_left_out(opened: Page) -> None:
    refused = opened.get_by_role("gridcell").filter(has_text="Relevance has no rule for bmm")
    expect(refused).to_be_visible()
    refused.get_by_role("button", name="Leave LRP-γ out").click()
    expect(opened.get_by_role("columnheader", name="LRP-γ")).to_have_count(0)
    expect(opened.get_by_text("6 methods")).to_be_visible()
    opened.go_back()
    expect(opened.get_by_role("columnheader", name="LRP-γ")).to_be_visible()


def test_arrows_move_and_enter_opens_the_decision(opened: Page) -> None:
    cell(opened, "Grad-CAM at stage1 of demo").click()
    for key in ("ArrowRight", "ArrowDown"):
        opened.keyboard.press(key)
    expect(cell(opened, "HiResCAM at stage3 of demo")).to_be_focused()
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowUp")
    expect(cell(opened, "LayerCAM at stage1 of demo")).to_have_attribute("aria-selected", "true")
    opened.keyboard.press("Enter")
    expect(opened.locator("footer code")).to_contain_text('method="layercam", layer="stage1"')
    expect(opened.get_by_role("heading", level=1)).to_contain_text(f"Why {JAY}")


def test_many_passes_wait_until_they_are_asked_for(opened: Page, model: Model) -> None:
    name = "Ablation-CAM at stage1 of demo"
    expect(cell(opened, name)).to_have_count(0)
    button = opened.get_by_role("button", name=re.compile(rf"^Compute \([\d.]+ s\) {name}$"))
    button.click()
    expect(cell(opened, name)).to_be_visible(timeout=PATIENT)
    expected = share(on_scene(model, "ablationcam", "stage1"), render(SCENE)[1], ["crest"])
    assert percent(cell(opened, name)) == pytest.approx(100 * expected, abs=0.6)


def test_a_map_is_zoomed_and_so_are_all(opened: Page) -> None:
    cell(opened, "HiResCAM at stage3 of demo").hover()
    opened.mouse.wheel(0, -300)
    moved = opened.locator(".zoomed").evaluate_all("all => all.map((one) => one.style.transform)")
    assert len(moved) > 12
    assert len(set(moved)) == 1
    assert moved[0].startswith("scale(1.8")


def test_maps_of_one_scale_can_be_compared(studio_server: StudioServer, page: Page, jay: str, model: Model) -> None:
    page.goto(f"{studio_server.address}#/methods?photo={jay}&models=demo&layers=stage3&methods=gradcam%2B%2B|hirescam")
    names = {"gradcam++": "Grad-CAM++", "hirescam": "HiResCAM"}
    pictures = {name: cell(page, f"{title} at stage3 of demo").locator("canvas") for name, title in names.items()}
    peaks = {}
    for name in names:
        why = foveal.explain(model, [render(SCENE)[0]], foveal.Margin(JAY, OTHER), method=name, layer="stage3")
        peaks[name] = float(why.map.abs().max())
        expect(pictures[name]).to_have_attribute("width", "224", timeout=PATIENT)  # drawn
    weak, strong = sorted(names, key=lambda name: peaks[name])
    assert peaks[weak] < 0.8 * peaks[strong]
    before = {name: canvas.evaluate("one => one.toDataURL()") for name, canvas in pictures.items()}
    page.get_by_role("radio", name="row").check(force=True)
    changed = "([one, old]) => one.toDataURL() !== old"
    page.wait_for_function(changed, arg=[pictures[weak].element_handle(), before[weak]])
    assert pictures[strong].evaluate("one => one.toDataURL()") == before[strong]


def test_of_a_photo_it_is_measured_what_hiding_costs(opened: Page, studio_server: StudioServer, client: Client) -> None:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(render(SCENE)[0][:, ::-1])).save(file, "PNG")
    added = client.upload(file.getvalue(), "mirrored.png").json
    opened.goto(
        f"{studio_server.address}#/methods?photo={added['hash']}&models=demo&methods=gradcam|hirescam|lrp-gamma"
    )
    opened.reload()
    expect(opened.locator("#agreement")).to_contain_text(
        "strongest evidence at the place that HiResCAM at stage3 marks"
    )
    assert not opened.locator(".worth").count()
    opened.get_by_role("button", name="Measure all").click()
    expect(opened.locator(".methodgrid .worth")).to_have_count(5, timeout=PATIENT)
    asked = {"photo": added["hash"], "model": "demo", "target": "predicted - runner-up"}
    told = client.answer(
        "method_scores", cells=[{"method": "hirescam", "layer": "stage1"}, {"method": "lrp-gamma"}], **asked
    )
    for one, name in zip(told["cells"], ("HiResCAM at stage1 of demo", "LRP-γ at the input of demo"), strict=True):
        assert percent(cell(opened, name)) == pytest.approx(100 * one["lost"], abs=0.6)
    best = max(one["lost"] for one in told["baselines"])
    assert f"{round(100 * best)}" in opened.locator(".legendline").inner_text()


def test_methods_and_layers_are_chosen(opened: Page) -> None:
    opened.get_by_text("7 methods").click()
    opened.get_by_role("checkbox", name="Eigen-CAM", exact=True).check()
    expect(opened.get_by_role("columnheader", name="Eigen-CAM")).to_be_visible()
    opened.keyboard.press("Escape")
    opened.get_by_text("3 layers").click()
    opened.get_by_role("checkbox", name="stage1").uncheck()
    expect(opened.get_by_role("rowheader", name=re.compile("stage1"))).to_have_count(0)
    assert "layers=stage3" in opened.url


def test_the_decision_leads_to_the_maps_that_know_nothing(studio_server: StudioServer, page: Page, jay: str) -> None:
    page.goto(f"{studio_server.address}#/decision?photo={jay}")
    page.get_by_role("link", name=re.compile("what baseline maps look like")).click(timeout=PATIENT)
    shown = page.get_by_role("list", name="Maps that know nothing")
    expect(shown.get_by_role("img")).to_have_count(4, timeout=PATIENT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_barriers(
    studio_server: StudioServer,
    new_page: Callable[..., Page],
    axe: Callable[[Page], None],
    jay: str,
    scheme: str,
    width: int,
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    page.goto(f"{studio_server.address}#/methods?photo={jay}")
    expect(page.locator("#agreement")).to_contain_text("In parts", timeout=PATIENT)
    assert page.get_by_role("main").evaluate("one => one.scrollWidth") <= width
    axe(page)

"""What is asked: classes, margins, units, functions, and networks that predict no class."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torch import nn

import foveal
from foveal.models.model import as_model
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render
from foveal.webapp.serve import StudioServer, serving
from foveal.webapp.studio import Studio
from tests.networks import Planted

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

JAY, OTHER = "Fan-crested Jay", "Crown-crested Jay"
SCENE = next(scene for scene in demo_scenes() if scene.class_name == JAY)
PATIENT = 40_000  # ms: the machine may be busy
COLORS = ("red", "green", "blue")


def redness(output: torch.Tensor) -> torch.Tensor:
    """A function of one's own."""
    return output[:, 0] - output[:, 2]


def many() -> nn.Module:
    """A thousand classes."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1000)
    ).eval()


@pytest.fixture(scope="module")
def tasks() -> Iterator[StudioServer]:
    """A studio with networks of every task, a function of the person's own, and a photo that is red on the left."""
    photo = np.zeros((24, 32, 3), np.uint8)
    photo[:, :16, 0], photo[:, 16:, 1], photo[4:8, 4:8, 2] = 200, 150, 90
    plain = foveal.Preprocessing(size=(24, 32), mean=(0, 0, 0), std=(1, 1, 1))
    thousand = [f"kind {number:03} of thing" for number in range(999)] + ["kind 007 of thing"]
    studio = Studio(
        {
            "classes": as_model(Planted().eval(), plain, COLORS, "classes"),
            "labels": as_model(Planted().eval(), plain, COLORS, "labels"),
            "value": as_model(nn.Sequential(Planted(), nn.Linear(3, 1)).eval(), plain, ["warmth"], "value"),
            "embedding": as_model(Planted().eval(), plain, task="embedding"),
            "many": as_model(many(), plain, thousand, "classes"),
        },
        {"redness": redness},
    )
    studio.add_photos([photo])
    with serving(studio, port=0) as server:
        yield server


@pytest.fixture
def ask(tasks: StudioServer, page: Page) -> Callable[..., Page]:
    """Open a model, with a target."""

    def opened(model: str, target: str = "") -> Page:
        page.goto(f"{tasks.address}#/decision?model={model}" + (f"&target={target}" if target else ""))
        expect(page.get_by_role("table", name=re.compile("Scores"))).to_be_visible(timeout=PATIENT)
        return page

    return opened


@pytest.fixture
def jay(studio_server: StudioServer, page: Page, studio: Studio) -> Page:
    hash = next(photo.hash for photo in studio.photos if photo.scene == SCENE)
    page.goto(f"{studio_server.address}#/decision?photo={hash}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(JAY, timeout=PATIENT)
    return page


def asks(page: Page, question: str) -> None:
    """Wait until the headline is this."""
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile("^" + r"\s*".join(map(re.escape, question.split())) + "$"), timeout=PATIENT
    )


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("table", name=re.compile("Scores")).get_by_role("row").filter(has_text=name)


def choices(page: Page, **kind: bool) -> Locator:
    """Classes that the search has found."""
    return page.get_by_role("listbox").get_by_role("option", **kind)


def test_a_class_is_searched_with_the_keyboard(jay: Page) -> None:
    jay.get_by_role("button", name=OTHER).first.click()
    expect(jay.get_by_role("combobox", name="Search classes")).to_be_focused()
    jay.keyboard.type("STILT")
    options = choices(jay)
    expect(options).to_have_count(2)
    jay.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    second = options.nth(1).inner_text().splitlines()[0]
    jay.keyboard.press("Enter")
    asks(jay, f"Why {JAY} and not {second}?")
    expect(jay.locator("footer code")).to_contain_text(f'foveal.Margin("{JAY}", "{second}")')
    why = foveal.explain(
        foveal.load_model("demo"), [render(SCENE)[0]], foveal.Margin(JAY, second), method="hirescam", layer="stage3"
    )
    jay.get_by_role("application").focus()
    jay.keyboard.press("ArrowUp")
    said = jay.get_by_text("Row 10, column 11 of stage3").inner_text().rpartition(":")[2]
    assert float(said.replace("−", "-")) == pytest.approx(float(why.map[0, 9, 10]), rel=0.06, abs=1e-6)


def test_escape_leaves_the_question_as_it_was(jay: Page) -> None:
    before = jay.url
    jay.get_by_role("button", name=JAY).first.click()
    jay.keyboard.type("stilt")
    jay.keyboard.press("Escape")
    expect(jay.get_by_role("dialog")).to_have_count(0)
    assert jay.url == before


def test_the_class_alone_and_the_runner_up(ask: Callable[..., Page]) -> None:
    page = ask("classes")
    asks(page, "Why red and not green?")
    page.get_by_role("button", name="green").first.click()
    page.get_by_role("button", name="the class alone").click()
    asks(page, "Why red rather than …?")
    page.get_by_role("button", name="rather than").click()
    page.get_by_role("button", name="the runner-up").click()
    asks(page, "Why red and not green?")


def test_the_scores_stay_where_they_are_while_the_answer_grows(ask: Callable[..., Page]) -> None:
    page = ask("classes")
    table = page.get_by_role("table", name=re.compile("Scores"))
    first = table.bounding_box()
    expect(page.get_by_text("hidden elsewhere", exact=False).first).to_be_visible(timeout=PATIENT)
    assert table.bounding_box() == first


def test_a_row_dragged_onto_another_asks_why_not_that(ask: Callable[..., Page]) -> None:
    page = ask("classes")
    row(page, "blue").drag_to(row(page, "green"))
    asks(page, "Why blue and not green?")
    row(page, "red").get_by_role("button").focus()
    page.keyboard.press("Shift+Enter")
    asks(page, "Why blue and not red?")
    row(page, "green").get_by_role("button").focus()
    page.keyboard.press("Enter")
    asks(page, "Why green rather than …?")


def test_one_unit_is_explained(jay: Page) -> None:
    jay.get_by_role("button", name=JAY).first.click()
    jay.get_by_role("button", name="one unit").click()
    jay.get_by_role("combobox", name="Layer").select_option("stage3")
    jay.get_by_role("spinbutton", name="Channel").fill("121")
    jay.get_by_role("spinbutton", name="Row").fill("7")
    jay.get_by_role("button", name="Explain this unit").click()
    expect(jay.get_by_role("dialog")).to_be_visible()  # a row needs a column
    jay.get_by_role("spinbutton", name="Column").fill("12")
    jay.get_by_role("button", name="Explain this unit").click()
    asks(jay, "What raises channel 121 of stage3 at row 7, column 12?")
    expect(jay.locator("footer code")).to_contain_text('foveal.Neuron("stage3", 121, position=(6, 11))')
    why = foveal.explain(
        foveal.load_model("demo"), [render(SCENE)[0]], foveal.Neuron("stage3", 121, (6, 11)),
        method="hirescam", layer="stage1",
    )  # fmt: skip
    total = float(why.map.sum())
    expect(jay.get_by_role("slider", name="Depth")).to_have_attribute("aria-valuetext", re.compile("stage1, 40 by 40"))
    cells = jay.get_by_role("table", name=re.compile("Where the evidence lies")).get_by_role("row").all_inner_texts()
    sums = [re.findall(r"[+−][\d.]+", text)[:1] for text in cells]
    assert sum(float(number[0].replace("−", "-")) for number in sums if number) == pytest.approx(total, abs=0.25)


def test_a_function_of_ones_own_is_explained(ask: Callable[..., Page]) -> None:
    page = ask("classes")
    page.get_by_role("heading", level=1).get_by_role("button", name="red").click()
    page.get_by_role("button", name="your own function redness").click()
    asks(page, "What raises redness?")
    expect(page.locator("footer code")).to_contain_text("foveal.explain(model, images[0], redness")
    expect(page.get_by_role("button", name="as command")).to_have_count(0)
    expect(page.locator("#answer")).to_contain_text("for redness")


@pytest.mark.parametrize(
    ("model", "question"),
    [
        ("labels", "Why the label red rather than …?"),
        ("value", "What raises warmth?"),
        ("embedding", "What raises which unit …?"),
    ],
)
def test_only_classes_are_called_so(ask: Callable[..., Page], model: str, question: str) -> None:
    page = ask(model)
    asks(page, question)
    if model != "embedding":
        expect(page.get_by_text("Hidden from the strongest on")).to_be_visible(timeout=PATIENT)
    said = page.get_by_role("main").inner_text()
    assert not re.search(r"\bclass(es)?\b", said.replace("predicts no class", ""), re.IGNORECASE), said


def test_an_embedding_has_units_to_explain(ask: Callable[..., Page]) -> None:
    page = ask("embedding")
    expect(page.get_by_role("alert")).to_contain_text("embedding of 3 numbers and predicts no class")
    page.get_by_role("button", name="which unit").click()
    page.get_by_role("button", name="one unit").click()
    page.get_by_role("spinbutton", name="Channel").fill("1")
    page.get_by_role("button", name="Explain this unit").click()
    asks(page, "What raises channel 1 of relu?")
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("rad", "The model has no class 'rad'"),
        ("neuron:relu", "Cannot read the target 'neuron:relu'"),
        ("own:blueness", "This studio has no function 'blueness'"),
        ("red - red", "A margin needs two different classes"),
        ("x" * 1001, "unreadable"),
    ],
)
def test_a_damaged_question_has_a_way_out(ask: Callable[..., Page], target: str, sentence: str) -> None:
    page = ask("classes", target)
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.locator("canvas").first).to_be_visible()
    page.get_by_role("button", name="Explain what the network says").click()
    asks(page, "Why red and not green?")


def test_a_thousand_classes_stay_fast(ask: Callable[..., Page]) -> None:
    page = ask("many")
    page.get_by_role("button", name="kind").first.click()
    expect(page.get_by_role("combobox", name="Search classes")).to_have_attribute("placeholder", "Search 1,000 classes")
    assert choices(page).count() < 100
    page.keyboard.type("kind 71")
    expect(choices(page)).to_have_count(10)
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    for _ in range(12):
        page.keyboard.press("PageDown")
    chosen = choices(page, selected=True)
    expect(chosen).to_be_in_viewport()
    name = chosen.inner_text().splitlines()[0]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(name, timeout=PATIENT)


def test_of_two_classes_with_one_name_each_has_its_number(ask: Callable[..., Page]) -> None:
    page = ask("many")
    page.get_by_role("button", name="kind").nth(1).click()
    page.keyboard.type("kind 007")
    expect(choices(page)).to_have_count(2)
    numbers = {int(text) for text in re.findall(r"\((\d+)\)", " ".join(choices(page).all_inner_texts()))}
    assert numbers == {7, 999}
    choices(page).filter(has_text="(999)").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("and not kind 007 of thing", timeout=PATIENT)
    assert "999" in page.url


def test_methods_are_listed_by_family_with_their_cost(jay: Page) -> None:
    menu = jay.get_by_role("combobox", name="Method")
    families = menu.locator("optgroup").evaluate_all("all => all.map((one) => one.label)")
    assert families == [family for family in foveal.METHODS.families if family != "Similarity"]
    said = menu.locator('option[value="scorecam"]').inner_text()
    assert said == "Score-CAM (1 forward pass for each channel)"
    menu.select_option("scorecam")
    options = jay.get_by_label("Options of Score-CAM")
    options.fill("clusters=4")
    options.press("Enter")
    expect(jay.locator("footer code")).to_contain_text('method="scorecam:clusters=4"', timeout=PATIENT)
    options.fill("clusters=many")
    options.press("Enter")
    expect(jay.get_by_role("alert")).to_contain_text("Cannot read clusters=many for scorecam", timeout=PATIENT)
    jay.get_by_role("button", name="Use HiResCAM").click()
    expect(jay.locator("footer code")).to_contain_text('method="hirescam"', timeout=PATIENT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barriers(
    tasks: StudioServer, new_page: Callable[..., Page], axe: Callable[[Page], None], scheme: str
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.goto(f"{tasks.address}#/decision?model=classes")
    page.get_by_role("button", name="red").first.click(timeout=PATIENT)
    expect(choices(page)).to_have_count(3)
    axe(page)
    page.get_by_role("button", name="one unit").click()
    expect(page.get_by_role("spinbutton", name="Channel")).to_be_visible()
    axe(page)

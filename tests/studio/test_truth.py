"""The truth about a drawn scene, as a person explores it; its numbers are those of `foveal.synthetic`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

import foveal
from foveal.models import load_model
from foveal.synthetic import Scene, creature_of, demo_scenes, effects, render
from foveal.synthetic.agreement import share, top_part
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

    from foveal.webapp.serve import StudioServer

JAY, CROWN = "Fan-crested Jay", "Crown-crested Jay"
SCENE, OTHER = (next(scene for scene in demo_scenes() if scene.class_name == name) for name in (JAY, CROWN))
Pictures = np.ndarray


@pytest.fixture(scope="module")
def own_studio() -> Studio:
    """One of its own, as scenes are added to it."""
    studio = Studio({"demo": load_model("demo")})
    studio.add_scenes([SCENE, OTHER])
    return studio


@pytest.fixture(scope="module")
def server(own_studio: Studio) -> Iterator[StudioServer]:
    with serving(own_studio, port=0) as server:
        yield server


@pytest.fixture
def opened(server: StudioServer, own_studio: Studio, page: Page) -> Page:
    """The truth about the first scene."""
    open_truth(page, server, next(iter(own_studio.photos)).hash)
    return page


def open_truth(page: Page, server: StudioServer, photo: str) -> None:
    page.goto(f"{server.address}#/truth?photo={photo}")
    expect(page.get_by_role("table", name="Part by part")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("as drawn"))).to_be_visible()


def margin(scene: Scene) -> float:
    """The lead of the jay in a scene, by Python."""
    return float(foveal.explain(load_model("demo"), render(scene)[0], foveal.Margin(JAY, CROWN)).score[0])


def number(text: str) -> float:
    return float(re.sub(r"[^\d.−-]", "", text).replace("−", "-"))


def lead(page: Page) -> float:
    """The lead of the changed scene, as the page says it; once it says one."""
    words = page.get_by_text(re.compile("the lead is"))
    expect(words).to_be_visible()
    match = re.search(r"the lead is (−?[\d.]+)", words.inner_text())
    assert match
    return number(match[1])


def middle(part: Locator) -> tuple[float, float]:
    box = part.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_parts_are_ordered_by_what_is_true_and_the_map_stands_beside_it(opened: Page) -> None:
    model = load_model("demo")

    def score(pictures: Pictures) -> Pictures:
        scores = foveal.explain(model, list(pictures), foveal.Margin(JAY, CROWN)).score
        assert scores is not None
        return scores.numpy()

    true = effects([SCENE], score).row(0)
    picture, labels = render(SCENE)
    why = foveal.explain(model, picture, foveal.Margin(JAY, CROWN), method="hirescam", layer="stage3")
    rows = opened.get_by_role("table", name="Part by part").locator("tbody tr")
    names = [row.get_by_role("rowheader").inner_text() for row in rows.all()]
    assert names == sorted(true, key=lambda part: -abs(true[part]))
    for name, row in zip(names, rows.all(), strict=True):
        effect, claim = (number(cell.inner_text()) for cell in row.locator("td.number").all())
        assert effect == pytest.approx(true[name], abs=0.051)
        assert claim / 100 == pytest.approx(share(why.on_photo(), labels, [name]), abs=0.0051)
    assert top_part(why.on_photo(), labels) == names[0] == "crest"
    answer = opened.locator("#answer")
    expect(answer).to_contain_text("Because of the crest, and we know it")
    expect(answer).to_contain_text("The map is right.")


def test_a_map_that_points_elsewhere_is_told(server: StudioServer, own_studio: Studio, page: Page) -> None:
    open_truth(page, server, [*own_studio.photos][1].hash)
    expect(page.locator("#answer")).to_contain_text("The map points at the eye; the crest decides.")


def test_delete_takes_a_part_away_and_ctrl_z_puts_it_back(opened: Page) -> None:
    opened.get_by_role("button", name=re.compile("^crest: arrows")).focus()
    opened.keyboard.press("Delete")
    assert lead(opened) == pytest.approx(margin(SCENE.without("crest")), abs=0.051)
    expect(opened.get_by_text(f"the network now says {CROWN}")).to_be_visible()
    first = opened.get_by_role("table", name=re.compile("Scores")).locator("tbody tr").first
    expect(first.get_by_role("rowheader")).to_have_text(CROWN)
    expect(first.locator(".stroke")).to_have_count(1)  # the old score
    opened.keyboard.press("Control+z")
    expect(opened.get_by_text("Drag a part of the bird")).to_be_visible()


def test_a_part_is_moved_by_pointer_and_by_arrows(opened: Page) -> None:
    asked: list[float] = []
    opened.on("request", lambda request: request.url.endswith("/api/scene") and asked.append(0))
    picture = opened.get_by_role("img", name=re.compile("as drawn")).bounding_box()
    assert picture
    x, y = middle(opened.get_by_role("button", name=re.compile("^wing: arrows")))
    unit = picture["width"] / 160
    opened.mouse.move(x, y)
    opened.mouse.down()
    opened.mouse.move(x + 10 * unit, y - 15 * unit, steps=8)
    expect(opened.get_by_role("table", name=re.compile("Scores.*changed|Scores"))).to_be_visible()
    opened.mouse.move(x + 20 * unit, y - 30 * unit, steps=8)
    opened.mouse.up()
    assert lead(opened) == pytest.approx(margin(SCENE.shifted("wing", 20, -30)), abs=0.051)
    assert len(asked) < 16  # the newest wins
    opened.keyboard.press("Shift+ArrowLeft")
    opened.keyboard.press("ArrowDown")
    expect(opened).to_have_url(re.compile(r"wing%3Aby%3A12%3A-28"))
    assert lead(opened) == pytest.approx(margin(SCENE.shifted("wing", 12, -28)), abs=0.051)


def test_another_look_and_another_background(opened: Page) -> None:
    opened.get_by_role("combobox", name="crest").select_option(label="of a Saffron Cockatoo")
    changed = SCENE.with_look("crest", creature_of("Saffron Cockatoo")["crest"])
    assert lead(opened) == pytest.approx(margin(changed), abs=0.051)
    opened.get_by_role("combobox", name="on", exact=True).select_option("sand")
    expect(opened.get_by_text("on sand: the lead is")).to_be_visible()
    assert lead(opened) == pytest.approx(margin(changed.with_background("sand")), abs=0.051)


def test_the_variants_say_what_is_left_of_the_lead(opened: Page) -> None:
    tail = opened.get_by_role("button", name=re.compile("^no legs"))
    expect(tail).to_contain_text("lead")
    assert number(tail.inner_text().split("lead")[1]) == pytest.approx(margin(SCENE.without("legs")), abs=0.051)
    tail.click()
    expect(tail).to_have_attribute("aria-pressed", "true")


def test_a_changed_scene_is_explained_as_a_photo(opened: Page, own_studio: Studio) -> None:
    opened.get_by_role("button", name=re.compile("^no crest")).click()
    opened.get_by_role("button", name="Explain this scene").click()
    expect(opened.get_by_role("heading", level=1)).to_contain_text(f"Why {CROWN}", timeout=30_000)
    assert [*own_studio.photos][-1].scene == SCENE.without("crest")


def test_a_new_scene_is_one_that_nobody_has_seen(opened: Page, own_studio: Studio) -> None:
    before = len(own_studio.photos)
    opened.keyboard.press("n")
    expect(opened.get_by_text(re.compile(rf"{before + 1} of {before + 1}"))).to_be_visible()
    expect(opened.get_by_role("table", name="Part by part")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_it_has_no_barriers(
    server: StudioServer,
    own_studio: Studio,
    new_page: Callable[..., Page],
    axe: Callable[[Page], None],
    scheme: str,
    width: int,
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    open_truth(page, server, next(iter(own_studio.photos)).hash)
    axe(page)

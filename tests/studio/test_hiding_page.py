"""What the map says, what hiding costs, and what hiding elsewhere costs: side by side, and in a true sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import foveal
from foveal.api.audit import elsewhere
from foveal.metrics import hidden
from tests.studio.altered_page import JAY, OTHER, input_of, lead, mask, number, numbers, own_model, photo_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from playwright.sync_api import Page

    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio


def opened(page: Page, server: StudioServer, photo: str, **fields: str) -> Page:
    more = "".join(f"&{name}={value}" for name, value in fields.items())
    page.goto(f"{server.address}#/decision?photo={photo}{more}")
    return page


def test_hidden_and_elsewhere_are_measured(page: Page, studio: Studio, studio_server: StudioServer) -> None:
    model, photo = own_model(), photo_named(studio, JAY)
    batch = input_of(studio, photo, model)
    with page.expect_request("**/api/places") as asked:
        opened(page, studio_server, photo)
    table = page.get_by_role("table", name=re.compile("Where the evidence lies"))
    for heading in ("map", "hidden", "elsewhere"):
        expect(table.get_by_role("columnheader", name=heading)).to_be_visible()
    expect(page.locator("#answer")).to_contain_text("the same shape hidden elsewhere typically changes nothing")
    whole = float(lead(model, batch.tensor))
    shapes: list[dict[str, Any]] = asked.value.post_data_json["shapes"]
    why = foveal.explain(model, batch, foveal.Margin(JAY, OTHER), method="hirescam")
    for shape, row in zip(shapes, table.get_by_role("row").all()[1:], strict=False):
        where = mask(shape, batch)
        claim, cost, median = (number(cell) for cell in row.get_by_role("cell").all_inner_texts()[-3:])
        cells = [(r, c) for r, first, last in shape["tiles"]["runs"] for c in range(first, last + 1)]
        assert claim == pytest.approx(sum(float(why.map[0, r, c]) for r, c in cells), abs=0.051)
        assert cost == pytest.approx(
            whole - float(lead(model, hidden(batch.tensor, where[None, None], "blur"))), abs=0.051
        )
        others = lead(model, hidden(batch.tensor, elsewhere(where, 24, shared=0.1)[:, None], "blur"))
        assert median == pytest.approx(whole - float(others.quantile(0.5)), abs=0.12)
    first = float(lead(model, hidden(batch.tensor, mask(shapes[0], batch)[None, None], "blur")))
    said = " ".join(page.locator("#answer").inner_text().split())
    assert f"{OTHER} leads by" in said
    assert numbers(said)[-2:] == pytest.approx([whole, -first], abs=0.051)


@pytest.mark.parametrize(
    ("bird", "fields", "sentence"),
    [
        ("Booted Stilt", {"method": "xgradcam", "layer": "stage1"}, r"hiding it changes little: do not trust it\."),
        ("Booted Stilt", {"method": "gradcam", "layer": "stage1"}, r"hiding it does the opposite: do not trust it\."),
        (JAY, {"target": "neuron:stage3:121"}, r"With it hidden, the activation (is|falls|rises|stays|hardly)"),
        (JAY, {"target": "Gold-eyed%20Starling%20-%20Fan-crested%20Jay"}, r"With (it|place 1) hidden, the lead"),
        (JAY, {"target": OTHER}, r"hidden, the score (falls|rises|stays|hardly)"),
    ],
)
def test_the_sentence_is_true_of_every_target(
    bird: str, fields: dict[str, str], sentence: str, page: Page, studio: Studio, studio_server: StudioServer
) -> None:
    opened(page, studio_server, photo_named(studio, bird), **fields)
    expect(page.locator("#answer")).to_contain_text(re.compile("elsewhere typically"), timeout=30_000)
    said = " ".join(page.locator("#answer").inner_text().split())
    assert re.search(sentence, said), said
    assert ("Because of place" in said) != ("do not trust" in said) or "All evidence is against" in said
    if change := re.search(r"(falls|rises) from (\S+) to ([^\s;.]+\.\d+)", said):
        before, after = number(change[2]), number(change[3])
        assert (after < before) == (change[1] == "falls")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_bars_the_way(
    width: int,
    scheme: Any,
    new_page: Callable[..., Page],
    studio: Studio,
    studio_server: StudioServer,
    axe: Callable[[Page], None],
) -> None:
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened(page, studio_server, photo_named(studio, JAY))
    expect(page.get_by_role("img", name=re.compile("Deletion curve"))).to_be_visible(timeout=30_000)
    page.wait_for_timeout(300)
    axe(page)
    assert page.evaluate("document.querySelector('.decision').getBoundingClientRect().right") <= width

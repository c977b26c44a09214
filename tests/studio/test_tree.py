"""The tree as a person opens it: numbers on the page are those of `foveal.decompose`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from playwright.sync_api import expect

import foveal
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from foveal.results.feature_graph import Node
    from foveal.results.tree import Tree
    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio

FITS = "() => { const main = document.querySelector('main'); return main.scrollWidth <= main.clientWidth; }"
PATIENT = 20_000  # milliseconds: what is measured comes after what is shown
JAY, OTHER = "Fan-crested Jay", "Crown-crested Jay"


@pytest.fixture(scope="module")
def jay(studio: Studio) -> str:
    return next(photo.hash for photo in studio.photos if photo.scene and photo.scene.class_name == JAY)


@pytest.fixture(scope="module")
def model() -> foveal.Model:
    return foveal.load_model("demo")


@pytest.fixture(scope="module")
def pixels() -> Any:
    return render(next(scene for scene in demo_scenes() if scene.class_name == JAY))[0]


@pytest.fixture(scope="module")
def parts(model: foveal.Model, pixels: Any) -> Tree:
    return foveal.decompose(model, [pixels], foveal.Margin(JAY, OTHER), nodes="parts").grow(2).audit()


@pytest.fixture(scope="module")
def neurons(model: foveal.Model, pixels: Any) -> Tree:
    target = foveal.Margin(JAY, OTHER)
    return foveal.decompose(model, [pixels], target, rule="exact", gate=False, opponents=2).grow(2).audit()


@pytest.fixture
def shown(studio_server: StudioServer, page: Page, jay: str) -> Callable[..., Page]:
    def show(**fields: str) -> Page:
        more = "".join(f"&{name}={value}" for name, value in fields.items())
        page.goto(f"{studio_server.address}#/tree?photo={jay}{more}")
        expect(level(page, 1).first).to_be_visible()
        return page

    return show


def level(page: Page, number: int) -> Locator:
    return page.locator(f'[role="treeitem"][aria-level="{number}"]')


def numbers(text: str) -> list[float]:
    return [float(one.replace("\N{MINUS SIGN}", "-")) for one in re.findall(r"[+\N{MINUS SIGN}]?\d+\.\d+", text)]


def claims(page: Page, number: int) -> dict[str, float]:
    labels = [item.get_attribute("aria-label") or "" for item in level(page, number).all()]
    return {label.split(",")[0]: numbers(label.partition(",")[2])[0] for label in labels}


def part_name(node: Node) -> str:
    return f"part {(node.feature.part or 0) + 1}"


def test_parts_of_the_first_level_are_those_of_decompose(shown: Callable[..., Page], parts: Tree) -> None:
    page = shown(least="0")
    expected = {part_name(node): node.edge.mass for node in parts.root.children if node.edge}
    assert claims(page, 1) == pytest.approx(expected, abs=0.006)
    taken = parts.decision.value - parts.decision.offset
    expect(page.get_by_text(re.compile(rf"sum .* of {taken:.2f}; nothing left over"))).to_be_visible()
    expect(page.get_by_text(f"lead {parts.decision.value:.2f} · reference")).to_be_visible()
    expect(page.locator("#answer")).to_contain_text("the whole difference to the photo blurred")


def test_opening_a_node_asks_for_its_branch_alone_and_shares_multiply(shown: Callable[..., Page], parts: Tree) -> None:
    page = shown(least="0")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "/tree/branch" in request.url else None)
    first = parts.root.children[0]
    level(page, 1).first.click()
    expect(level(page, 2).first).to_be_visible()
    assert claims(page, 2) == pytest.approx({part_name(n): n.edge.mass for n in first.children if n.edge}, abs=0.006)
    assert len(asked) == 1 and '"of":"2.' in asked[0]
    second = max(first.children, key=lambda node: node.share)
    level(page, 2).first.click()
    expect(level(page, 3).first).to_be_visible()
    taken = parts.decision.value - parts.decision.offset
    expected = {part_name(node): node.path_share * taken for node in second.children}
    assert claims(page, 3) == pytest.approx(expected, abs=0.006)
    assert len(asked) == 2


def test_measured_effects_stand_beside_the_claims(shown: Callable[..., Page], parts: Tree) -> None:
    first = parts.root.children[0]
    page = shown(least="0", open=f"2.{(first.feature.part or 0) + 1}")
    child = max(first.children, key=lambda node: node.share)
    assert child.edge and child.edge.effect is not None
    lost = child.edge.effect * first.feature.value
    item = level(page, 2).filter(has_text=part_name(child))
    expect(item).to_have_attribute("aria-label", re.compile(f"loses .*{abs(lost):.2f}"), timeout=PATIENT)
    item.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    about = page.get_by_role("complementary", name=f"About {part_name(child)}")
    expect(about).to_contain_text(
        f"Carries +{child.edge.mass:.2f} of {part_name(first)}\N{RIGHT SINGLE QUOTATION MARK}s"
    )
    expect(about).to_contain_text(f"{part_name(first)} loses {lost:.2f}: the network confirms")


def test_neurons_add_up_with_biases_and_all_other_channels(shown: Callable[..., Page], neurons: Tree) -> None:
    page = shown(nodes="neurons")
    expected = {
        f"channel {node.feature.channel} at {node.feature.place[0]}": sign * node.edge.mass
        for sign, nodes in ((1, neurons.root.children), (-1, neurons.root.opponents))
        for node in nodes
        if node.edge
    }
    assert claims(page, 1) == pytest.approx(expected, abs=0.006)
    decision = neurons.decision
    left = decision.value - decision.offset - sum(expected.values())
    expect(page.get_by_text(f"sum {decision.value - left:.2f} of {decision.value:.2f}")).to_be_visible()
    expect(page.get_by_text(f"channels bring {left:.2f}")).to_be_visible()
    level(page, 1).first.click()
    child = neurons.root.children[0].children[0]
    assert child.edge and child.edge.effect is not None and child.parent
    own = level(page, 2).filter(has_text=f"channel {child.feature.channel} at")
    lost = child.edge.effect * child.parent.feature.value
    expect(own).to_have_attribute(
        "aria-label", re.compile(rf"\+{child.edge.mass:.2f} of .*loses {lost:.2f}"), timeout=PATIENT
    )


def test_the_published_rule_says_what_it_holds(shown: Callable[..., Page], model: foveal.Model, pixels: Any) -> None:
    page = shown(nodes="neurons", rule="pool_up")
    tree = foveal.decompose(model, [pixels], foveal.Margin(JAY, OTHER))
    held = 100 * sum(node.share for node in tree.root.children)
    expect(page.get_by_text(re.compile(rf"^{held:.0f}.% of what speaks for it"))).to_be_visible()


def test_keys_move_open_and_switch_off(shown: Callable[..., Page]) -> None:
    page = shown()
    first = level(page, 1).first
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(level(page, 1).nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    expect(first).to_have_attribute("aria-expanded", "true")
    expect(level(page, 2).first).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(level(page, 2).first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(first).to_be_focused()
    page.keyboard.press("o")
    expect(page.get_by_role("status").filter(has_text="part 1 off")).to_be_visible()
    page.keyboard.press("o")
    page.keyboard.press("Enter")
    expect(level(page, 2)).to_have_count(0)


def logits_without(model: foveal.Model, pixels: Any, hooks: dict[str, Callable[[torch.Tensor], torch.Tensor]]) -> Any:
    """The literal way: a whole forward with a hook at each layer."""
    x = foveal.images.load_images([pixels], model.preprocessing).tensor
    modules = dict(model.module.named_modules())
    handles = [
        modules[name].register_forward_hook(lambda _m, _i, out, change=change: change(out))
        for name, change in hooks.items()
    ]
    try:
        with torch.no_grad():
            return model.module(x)[0]
    finally:
        for handle in handles:
            handle.remove()


def test_a_part_switched_off_gives_the_networks_scores(
    shown: Callable[..., Page], model: foveal.Model, pixels: Any, parts: Tree
) -> None:
    page = shown()
    level(page, 1).first.click()
    page.get_by_role("button", name=re.compile("^Off")).click()
    first: Any = parts.root.children[0].feature
    expander: Any = parts.expander
    evidence, w = expander.evidence[first.stage], expander.parts(first.stage)[first.part]
    logits = logits_without(model, pixels, {first.layer: lambda A: A - w * (A - evidence.reference)})
    labels = list(model.labels or ())
    lead = float(logits[labels.index(JAY)] - logits[labels.index(OTHER)])
    said = page.get_by_role("status").filter(has_text="off the lead goes")
    expect(said).to_contain_text(f"from {parts.decision.value:.2f} to {lead:.2f}".replace("-", "\N{MINUS SIGN}"))
    expect(said).to_contain_text(f"the tree claims \N{MINUS SIGN}{first.value:.2f}")
    rows = page.get_by_role("complementary").get_by_role("row").all()
    told = {row.get_by_role("rowheader").inner_text(): row.get_by_role("cell").all_inner_texts() for row in rows[1:]}
    expect(said).to_contain_text(f"The network then says {labels[int(logits.argmax())]}")
    assert any(f"{float(logits[labels.index(JAY)]):.1f}".replace("-", "\N{MINUS SIGN}") in cell for cell in told[JAY])


def test_nodes_of_two_stages_are_scaled_at_once(
    shown: Callable[..., Page], model: foveal.Model, pixels: Any, neurons: Tree
) -> None:
    high: Any = neurons.root.children[0].feature
    low: Any = neurons.root.children[0].children[0].feature
    ids = [f"{one.stage}.{one.channel}.{one.place[0]}.{one.place[1]}" for one in (high, low)]
    page = shown(nodes="neurons", open=ids[0], off=f"{ids[0]}:0,{ids[1]}:0.5")

    def scaled(channel: int, by: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda A: A * torch.ones(A.shape[1]).index_fill(0, torch.tensor(channel), by).view(1, -1, 1, 1)

    hooks = {high.layer: scaled(high.channel, 0.0), low.layer: scaled(low.channel, 0.5)}
    logits = logits_without(model, pixels, hooks)
    labels = list(model.labels or ())
    lead = float(logits[labels.index(JAY)] - logits[labels.index(OTHER)])
    said = page.get_by_role("status").filter(has_text="the lead goes")
    expect(said).to_contain_text(f"to {lead:.2f}".replace("-", "\N{MINUS SIGN}"))
    page.get_by_role("slider", name="Scale of").focus()
    page.keyboard.press("End")
    expect(said).to_contain_text("times 2")


def test_what_is_pruned_becomes_one_row(shown: Callable[..., Page], parts: Tree) -> None:
    page = shown()
    slider = page.get_by_role("slider", name="Show what carries at least")
    slider.focus()
    page.keyboard.press("End")
    small = [node for node in parts.root.children if abs(node.share) < 0.2]
    together = sum(node.edge.mass for node in small if node.edge)
    expect(level(page, 1)).to_have_count(5 - len(small))
    text = f"{len(small)} smaller, together {together:+.2f}".replace("-", "\N{MINUS SIGN}")
    expect(page.get_by_text(text)).to_be_visible()


def test_a_name_stays_in_the_address(
    shown: Callable[..., Page], studio_server: StudioServer, new_page: Callable[..., Page]
) -> None:
    page = shown()
    level(page, 1).first.focus()
    page.keyboard.press("F2")
    page.get_by_role("textbox", name="Name of this node").fill("crest, red: top")
    page.keyboard.press("Enter")
    expect(level(page, 1).first).to_have_attribute("aria-label", re.compile("^crest, red: top,"))
    expect(level(page, 1).first).to_be_focused()
    other = new_page()
    other.goto(studio_server.address)
    other.goto(page.url)
    expect(level(other, 1).first).to_have_attribute("aria-label", re.compile("^crest, red: top,"))


def test_a_hovered_node_answers_on_the_photo_and_its_ribbon(shown: Callable[..., Page]) -> None:
    page = shown()
    level(page, 1).nth(1).hover()
    expect(page.locator(".ribbons path.same")).to_have_count(1)
    expect(page.locator(".trunk .whole i.same")).to_have_count(1)


def test_strongest_elsewhere_and_an_image_on_demand(shown: Callable[..., Page], studio: Studio) -> None:
    page = shown()
    about = page.get_by_role("complementary")
    about.get_by_role("button", name="Look for it").click()
    expect(about.get_by_role("link", name=re.compile("apart$")).first).to_be_visible(timeout=PATIENT)
    about.get_by_role("button", name="Make one").click()
    expect(about.get_by_role("img", name=re.compile("An image optimized"))).to_be_visible(timeout=30_000)


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
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto(f"{studio_server.address}#/tree?photo={jay}&open=2.1&off=2.2:0")
    expect(level(page, 2).first).to_be_visible()
    assert page.evaluate(FITS)
    if width == 390:
        expect(level(page, 1).first).to_be_hidden()
        page.get_by_role("navigation", name="The way").get_by_role("button").first.click()
        expect(level(page, 1).first).to_be_visible()
    axe(page)
    page.goto(f"{studio_server.address}#/parts?photo={jay}")
    expect(page.get_by_role("table", name=re.compile("Ranked"))).to_be_visible()
    assert page.evaluate(FITS)
    axe(page)

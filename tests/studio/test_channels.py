"""Channels, as a person explores them; the numbers are those of Python."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect

import foveal
from foveal.errors import LayerError
from foveal.images import load_images
from foveal.models import load_model
from foveal.synthetic import demo_scenes, render
from foveal.webapp.asks.channels import EveryPhotoQuery, off, photos
from foveal.webapp.asks.feature_image import FeatureImageQuery, feature_image
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from foveal.webapp.serve import StudioServer

JAY, CROWN = "Fan-crested Jay", "Crown-crested Jay"
LAYER, CHANNEL = "stage3", 121


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn scenes as files, as a person has photos."""
    folder = tmp_path_factory.mktemp("birds")
    for number, scene in enumerate(demo_scenes()):
        Image.fromarray(render(scene)[0]).save(folder / f"{number}-{scene.class_name}.png")
    return folder


@pytest.fixture(scope="module")
def own_studio(folder: Path) -> Studio:
    studio = Studio({"demo": load_model("demo")})
    studio.add_photos(sorted(folder.iterdir()))
    return studio


@pytest.fixture(scope="module")
def server(own_studio: Studio) -> Iterator[StudioServer]:
    with serving(own_studio, port=0) as server:
        yield server


@pytest.fixture(scope="module")
def jay(own_studio: Studio) -> str:
    return next(photo.hash for photo in own_studio.photos if JAY in photo.name)


@pytest.fixture
def opened(server: StudioServer, jay: str, page: Page) -> Page:
    """The page of one channel."""
    page.goto(f"{server.address}#/channel/{LAYER}/{CHANNEL}?photo={jay}")
    expect(page.get_by_role("table", name=re.compile("Classes it serves"))).to_be_visible()
    return page


def number(text: str) -> float:
    return float(re.sub(r"[^\d.−-]", "", text).replace("−", "-"))


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody hears."""


def brings(of: str, target: foveal.targets.Target, folder: Path) -> torch.Tensor:
    """What each channel brings, by the definition: G ⊙ A summed over positions."""
    model = load_model("demo")
    (file,) = folder.glob(f"*{of}.png")
    x = load_images(file, model.preprocessing).tensor
    A = model.module.stage2(model.module.stage1(model.module.stem(x))).detach()
    A = model.module.stage3(A).detach().requires_grad_()
    scores = model.module.head(model.module.pool(A).flatten(1))
    score = scores[0, model.labels.index(JAY)]
    if isinstance(target, foveal.Margin):
        score = score - scores[0, model.labels.index(CROWN)]
    (G,) = torch.autograd.grad(score, A)
    return (G * A).sum((2, 3))[0].detach()


def test_the_front_page_orders_channels_by_what_they_bring(
    server: StudioServer, jay: str, page: Page, folder: Path
) -> None:
    page.goto(f"{server.address}#/channel?photo={jay}")
    table = page.get_by_role("table", name=re.compile("By what they bring here"))
    expect(table).to_be_visible()
    rows = table.locator("tbody tr:not(.rest)").all()
    each = brings(JAY, foveal.Margin(JAY, CROWN), folder)
    order = each.argsort(descending=True).tolist()
    shown = [int(number(row.get_by_role("link").inner_text())) for row in rows]
    assert shown == order[:14] + order[-6:]
    for channel, row in zip(shown, rows, strict=True):
        assert number(row.locator("td.number").first.inner_text()) == pytest.approx(float(each[channel]), abs=0.0051)
    rows[0].get_by_role("link").click()
    expect(page).to_have_url(re.compile(rf"#/channel/{LAYER}/{order[0]}\?"))


def test_the_strongest_photos_are_those_of_foveal_channels(opened: Page, folder: Path) -> None:
    examples = foveal.channels(load_model("demo"), folder, most=8, cache=None, layer=LAYER)
    links = opened.get_by_role("list", name="Strongest photos").get_by_role("link").all()
    entries = examples.entries(LAYER, CHANNEL)
    assert [link.get_attribute("title") for link in links] == [entry.file.name for entry in entries]
    for link, entry in zip(links, entries, strict=True):
        assert number(link.inner_text().split(":")[-1]) == pytest.approx(entry.value, rel=0.06)


def test_the_classes_it_serves_and_what_it_brings_here(opened: Page, folder: Path) -> None:
    own = float(brings(JAY, foveal.Class(JAY), folder)[CHANNEL])
    led = float(brings(JAY, foveal.Margin(JAY, CROWN), folder)[CHANNEL])
    row = opened.get_by_role("table", name=re.compile("Classes it serves")).get_by_role("row", name=re.compile(JAY))
    assert number(row.locator("td.number").inner_text()) == pytest.approx(own, abs=0.0051)
    here = opened.get_by_text(re.compile("to the score of"))
    said = [number(part) for part in here.locator("b").all_inner_texts()]
    assert said == pytest.approx([own, led], abs=0.0051)


def test_switching_it_off_is_measured_in_all_photos(opened: Page, own_studio: Studio) -> None:
    model = load_model("demo")

    def zero(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[:, CHANNEL] = 0
        return output

    x = load_images([photo.image for photo in own_studio.photos], model.preprocessing).tensor
    with torch.no_grad():
        before = model.module(x)
        hook = model.module.stage3.register_forward_hook(zero)
        after = model.module(x)
        hook.remove()
    classes = before.argmax(1)
    losses = (before - after).gather(1, classes[:, None])[:, 0]  # a photo each of 8 classes
    section = opened.locator("section", has_text="Switched off in 8 photos")
    expect(section).to_contain_text(f"{int((after.argmax(1) != classes).sum())} photos change class")
    largest = section.get_by_text(re.compile("largest mean loss"))
    match = re.search(r"([\d.]+) points, of (.*)\.", largest.inner_text())
    assert match
    assert float(match[1]) == pytest.approx(float(losses.max()), abs=0.0051)
    assert match[2] == model.labels[int(classes[losses.argmax()])]


def test_a_dot_opens_its_photo_by_keyboard(opened: Page, own_studio: Studio) -> None:
    dots = opened.get_by_role("slider", name="Photos by largest activation")
    expect(dots).to_have_attribute("aria-valuenow", "8")  # the jay is where it is strongest
    dots.focus()
    opened.keyboard.press("ArrowLeft")
    text = str(dots.get_attribute("aria-valuetext"))
    opened.keyboard.press("Enter")
    wanted = next(photo.hash for photo in own_studio.photos if photo.name in text)
    expect(opened).to_have_url(re.compile(wanted))


def test_a_name_of_the_persons_own_is_in_the_address_and_on_the_front_page(opened: Page) -> None:
    expect(opened.get_by_text("Switched off, no photo changes class.").first).to_be_visible()  # nothing moves any more
    opened.get_by_label("Your name for it").fill("dark band")
    opened.get_by_role("link", name=f"All channels of {LAYER}").click()
    expect(opened.get_by_role("link", name=f"dark band ({CHANNEL})")).to_be_visible()
    assert "dark+band" in opened.url


def test_the_feature_image_is_made_paused_and_kept(opened: Page) -> None:
    section = opened.locator("section", has_text="Feature image")
    section.get_by_role("button", name="Make it").click()
    image = section.get_by_role("img", name=f"An image made for channel {CHANNEL}")
    expect(image).to_be_visible(timeout=30_000)
    first = image.get_attribute("src")
    expect(image).not_to_have_attribute("src", str(first))  # the next frame
    section.get_by_role("button", name="Pause").click()
    opened.wait_for_timeout(500)  # what was on its way
    steps = section.get_by_role("progressbar").get_attribute("value")
    opened.wait_for_timeout(400)
    assert section.get_by_role("progressbar").get_attribute("value") == steps
    section.get_by_role("button", name="Stop and keep").click()
    expect(section).to_contain_text(f"kept at {steps} of 160")
    section.get_by_role("button", name="Go on").click()
    expect(section.get_by_role("button", name="Pause")).to_be_visible()


def test_a_finished_feature_image_is_that_of_visualize(own_studio: Studio) -> None:
    done, frames = 0, []
    while not frames or not frames[-1].finished:
        query = FeatureImageQuery(model="demo", layer="stage2", channel=5, steps=12, done=done)
        frames.append(feature_image(own_studio, query, silent))
        done = frames[-1].done
    made = foveal.visualize(load_model("demo"), target=foveal.Neuron("stage2", 5), steps=12)
    data = base64.b64decode(frames[-1].image.partition(",")[2])
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float) / 255
    best = made[0].image.permute(1, 2, 0).numpy()
    assert frames[-1].done == 12
    assert np.abs(shown - best).mean() < 0.02  # what the compression of the picture loses


def test_numbers_are_kept_and_each_photo_is_looked_at_once(own_studio: Studio) -> None:
    query = EveryPhotoQuery(model="demo", layer=LAYER, channel=3)
    while (answer := photos(own_studio, query, silent)).photos < answer.of:
        pass
    again = photos(own_studio, query, lambda what, done, total: pytest.fail("a photo was looked at twice"))
    assert again == answer
    while (switched := off(own_studio, query, silent)).photos < switched.of:
        pass
    assert off(own_studio, query, lambda what, done, total: pytest.fail("a photo was asked twice")) == switched


def test_a_channel_or_layer_that_does_not_exist_is_told(own_studio: Studio) -> None:
    with pytest.raises(LayerError, match="channels 0 to 127, and no channel 128"):
        photos(own_studio, EveryPhotoQuery(model="demo", layer=LAYER, channel=128), silent)
    with pytest.raises(LayerError, match=r"'head' is none: choose one of .*stage3"):
        photos(own_studio, EveryPhotoQuery(model="demo", layer="head", channel=0), silent)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_it_has_no_barriers(
    server: StudioServer, jay: str, new_page: Callable[..., Page], axe: Callable[[Page], None], scheme: str, width: int
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(f"{server.address}#/channel/{LAYER}/{CHANNEL}?photo={jay}")
    expect(page.get_by_text("largest mean loss")).to_be_visible()
    axe(page)
    page.get_by_role("link", name=f"All channels of {LAYER}").click()
    expect(page.get_by_role("table", name=re.compile("By what they bring here"))).to_be_visible()
    axe(page)

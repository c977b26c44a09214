"""What a notebook shows of each result: the picture itself, in words too, alone, bounded and escaped."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.engine.structure import Stage
from foveal.render.fragment import MOST, TALLEST, WIDEST, bounded_uri, data_uri, result_fragment
from foveal.render.scale import shared_sign
from foveal.results.deletion_test import DeletionTests
from foveal.results.explanations import Explanations
from foveal.results.stages import Stages
from tests.recorded import answers
from tests.results.kinds import KINDS, made, pictures, tiny
from tests.results.test_explanation import explanation

HOSTILE = '<script>alert(1)</script><img src="http://evil" onerror="alert(2)">'
FIGURES: dict[str, Callable[[Any], Image.Image]] = {  # where a notebook shows another than the usual figure
    "flow": lambda flow: flow.figure("strip"),
    "explanation": lambda why: why.overlay(1, layer="late", size=320, sign=one_sign(why)),
    "tiles": lambda tiles: tiles.overlay(size=320, sign=one_sign(tiles)),
}
TABLES = {"scores"}  # shown as a table, without an image


def one_sign(why: Any) -> Any:
    """All overlays of one result share the meaning of their colors."""
    return shared_sign(map.numpy() for map in why.maps.values())


class Page(HTMLParser):
    """The elements of a piece of HTML, and what its images hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.images: list[dict[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "img":
            self.images.append({name: value or "" for name, value in attrs})


def decoded(uri: str) -> Image.Image:
    head, _, content = uri.partition(",")
    assert re.fullmatch(r"data:image/(png|webp);base64", head)
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")


def difference(shown: Image.Image, figure: Image.Image) -> float:
    """The mean difference of two pictures, as a share of the range of values."""
    size = (200, 200)
    a, b = (np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BOX), float) for picture in (shown, figure))
    return float(np.abs(a - b).mean() / 255)


@pytest.mark.parametrize("kind", sorted({*KINDS} - TABLES))
def test_a_notebook_shows_the_figure(kind: str) -> None:
    result = made(kind)
    page = Page(result._repr_html_())
    figure = FIGURES.get(kind, lambda result: result.figure())(result)
    nearest = min(difference(decoded(image["src"]), figure) for image in page.images)
    assert nearest < 0.02
    assert difference(Image.new("RGB", figure.size, "white"), figure) > 2 * nearest  # a blank page would not do


@pytest.mark.parametrize("kind", KINDS)
def test_it_stands_alone_and_is_bounded(kind: str) -> None:
    html = made(kind)._repr_html_()
    page = Page(html)
    assert all(image["src"].startswith("data:image/") for image in page.images)
    assert not {"href", "srcset", "onload", "onerror"} & page.attributes
    assert not {"script", "link", "iframe", "style"} & set(page.tags)
    assert "url(" not in re.sub(r"data:image/[^\"]*", "", html)
    assert len(html) < 2 * MOST
    for image in page.images:
        width, height = decoded(image["src"]).size
        assert width <= WIDEST and height <= TALLEST


@pytest.mark.parametrize("kind", KINDS)
def test_its_pictures_have_a_text(kind: str) -> None:
    page = Page(made(kind)._repr_html_())
    if kind in TABLES:
        assert not page.images and {"table", "thead", "th", "td"} <= {*page.tags}
        return
    assert page.images and all(len(image["alt"]) > 15 and image["alt"].strip() for image in page.images)


def hostile(value: Any, depth: int = 0) -> Any:
    """The same result, with every text that a user gives, names of models, photos and classes, replaced."""
    names = ("model", "method", "source", "name", "decided")
    if not is_dataclass(value) or isinstance(value, type) or depth > 3:
        return value
    changed: dict[str, Any] = {}
    for field in fields(value):
        old = getattr(value, field.name)
        if field.name in names and isinstance(old, str):
            changed[field.name] = HOSTILE
        elif field.name == "target" and isinstance(old, str | tuple):
            changed[field.name] = HOSTILE if isinstance(old, str) else (HOSTILE,) * len(old)
        elif field.name == "notes":
            changed[field.name] = (HOSTILE,)
        elif isinstance(old, tuple) and old and is_dataclass(old[0]):
            changed[field.name] = tuple(hostile(one, depth + 1) for one in old)
    init = {field.name for field in fields(value) if field.init}
    return replace(value, **{name: new for name, new in changed.items() if name in init})


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_escaped(kind: str) -> None:
    plain, given = Page(made(kind)._repr_html_()), hostile(made(kind))
    html = given._repr_html_()
    page = Page(html)
    assert "<script" not in html and "evil" in html
    assert not {"onerror", "onload"} & page.attributes
    assert set(page.tags) <= {*plain.tags, "ul", "li", "br"}
    assert all(image["src"].startswith("data:image/") for image in page.images)


def test_many_images_are_no_flood() -> None:
    why = explanation()
    many = replace(
        why, maps={name: map[:1].repeat(300, 1, 1) for name, map in why.maps.items()}, photos=why.photos[:1] * 300,
        target=why.target[:1] * 300, score=None, probability=None, target_spec={"kind": "callable"},
    )  # fmt: skip
    test = made("audit").tests[0]
    for result in (many, Explanations((many,) * 14), DeletionTests((test,) * 300)):
        html = result._repr_html_()
        assert len(html) < 2 * MOST
        assert "… and" in html and "more" in html


def test_of_several_layers_all_are_shown() -> None:
    why = explanation()
    page = Page(why._repr_html_())
    places = [(i, layer) for i in range(2) for layer in why.layers]
    assert len(page.images) == 4
    for image, (i, layer) in zip(page.images, places, strict=True):
        assert difference(decoded(image["src"]), why.overlay(i, layer=layer, size=320, sign=one_sign(why))) < 0.02
        assert f"{why.target[i]} at {layer}." in image["alt"]
    wide = replace(why, maps={f"layer{k}": torch.rand(2, 2, 2) for k in range(40)})
    html = wide._repr_html_()
    assert [re.search(r"at (layer\d+)\.", image["alt"])[1] for image in Page(html).images[:6]] == [  # type: ignore[index]
        "layer0", "layer8", "layer16", "layer23", "layer31", "layer39"]  # fmt: skip
    assert "6 of 40 layers" in html


def test_every_flow_has_its_strip() -> None:
    flow = foveal.flow(tiny(), pictures(2))
    page = Page(flow._repr_html_())
    assert len(page.images) == 2
    for i, image in enumerate(page.images):
        assert difference(decoded(image["src"]), flow.figure("strip", i=i)) < 0.02
        assert flow.photos[i].source in image["alt"] and "two" in image["alt"]


def test_a_picture_shrinks_until_it_fits() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 1900, 3), dtype=np.uint8))
    uri = bounded_uri(noise, 60_000)
    assert len(uri) <= 60_000 < len(data_uri(noise, quality=86))
    shown = decoded(uri)
    assert shown.width / shown.height == pytest.approx(1900 / 900, rel=0.05)


def test_a_chart_is_lossless() -> None:
    chart = Image.new("RGB", (300, 200), "white")
    chart.paste((10, 20, 30), (5, 5, 100, 50))
    assert decoded(bounded_uri(chart)).tobytes() == chart.tobytes()


def test_long_texts_are_cut() -> None:
    html = result_fragment([], "\n".join(f"line {k}" for k in range(500)))
    assert "line 38\nline 39" in html and "line 40" not in html and "460 more lines" in html


def test_stages_are_a_table() -> None:
    stages = foveal.stages(tiny())
    assert isinstance(stages, tuple) and [stage.name for stage in stages] == ["one", "two"]
    page = Page(stages._repr_html_())
    assert page.tags.count("tr") == 3 and "4×8×8" in stages._repr_html_()
    assert "receptive field" in str(stages) and str(stages) == repr(stages)
    named = Stages([Stage(HOSTILE, (1, 2, 3), (2.0, 4.0), (3, 5), False, "signed", 1)])
    assert "<script" not in named._repr_html_() and "2×4" in str(named) and "whole image" in str(named)


def test_the_audit_of_a_flow_is_a_table() -> None:
    flow = foveal.flow(tiny(), pictures(2))
    audit = flow.audit()
    html = audit._repr_html_()
    assert Page(html).tags.count("tr") == 1 + 2 * len(flow.layers)
    assert str(audit).splitlines()[0].split()[0] == "layer" and "kept neurons removed" in html


def test_images_that_are_gone_leave_the_numbers(tmp_path: Any) -> None:
    gone = replace(made("channels"), files=(tmp_path / "a.png", tmp_path / "b.png"))
    assert Page(gone._repr_html_()).images == [] and "<pre" in gone._repr_html_()


def test_the_page_of_a_comparison(tmp_path: Any) -> None:
    model = tiny()
    whys = foveal.compare(model, pictures(2), methods=["gradcam", "hirescam"])
    plain = foveal.save_page(whys, tmp_path / "plain.html").read_text(encoding="utf-8")
    assert len(answers(plain, "decision")) == 2 * 2 and not answers(plain, "measured")
    scores = foveal.measure(model, pictures(2), explanations=whys, metrics=["deletion"])
    full = foveal.save_page(whys, tmp_path / "full.html", scores, title="<b>").read_text(encoding="utf-8")
    ((_, measured),) = answers(full, "measured")
    assert "<title>&lt;b&gt;</title>" in full and measured["title"] == "<b>"
    by_image = measured["tables"][-1]
    assert [column["title"] for column in by_image["columns"]] == list(scores.methods)
    for i, row in enumerate(by_image["rows"]):
        assert [cell["value"] for cell in row["cells"]] == [
            scores.values[name]["deletion"][i] for name in scores.methods
        ]
    with pytest.raises(foveal.errors.ResultError, match="There are no scores of hirescam"):
        one = foveal.measure(model, pictures(2), explanations=whys[:1], metrics=["deletion"])
        foveal.save_page(whys, tmp_path / "none.html", one)
    with pytest.raises(foveal.errors.ResultError, match="of 1 images, but 2"):
        one = foveal.measure(model, pictures(1), explanations=["gradcam", "hirescam"], metrics=["deletion"])
        foveal.save_page(whys, tmp_path / "none.html", one)
    assert not (tmp_path / "none.html").exists()


def test_a_feature_image_and_a_facet_alone_are_shown() -> None:
    images = made("feature_images")
    image = images[0]
    shown = Page(image._repr_html_())
    assert len(shown.images) == 1 and image.name in shown.images[0]["alt"]
    assert difference(decoded(shown.images[0]["src"]), image.figure(side=320)) < 0.02
    assert str(image) == f"{image.name}: {image.caption()}" == repr(image)
    facet = images.facets[0]
    table = Page(facet._repr_html_())
    assert table.tags.count("tr") == 1 + len(facet.members) and "facet of" in str(facet)

"""Names that strangers chose, on every page and picture: shown, never obeyed."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

import foveal
from foveal.benchmark.summary import page as bench_page
from foveal.images import Batch, load_images
from foveal.models import Model
from foveal.render.page_layout import Page
from foveal.render.pages import script_json
from foveal.report.comparison_page import comparison_page
from foveal.report.trees import tree_page
from foveal.synthetic import Split
from tests.recorded import answers

NAMES = (
    "<!--<script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %} ${x}",
    "]]></style><!-- -->",
    "&lt;b&gt; &amp; &#x3c;",
    "line\u2028separators\u2029 here",
    "\x1b[2J\x07\x00 bell",
    "javascript:alert(1)//",
)


class Elements(HTMLParser):
    """Names of elements and of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        assert not any((value or "").startswith("javascript:") for name, value in attrs if name in ("href", "src"))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def demo() -> Model:
    return foveal.load_model("demo")


@pytest.fixture(scope="module")
def bird(demo: Model) -> Batch:
    return load_images(Image.fromarray(Split("classes", 20)[6].image), demo.preprocessing)


def named(demo: Model, bird: Batch, name: str) -> tuple[Model, Batch]:
    """The model and the picture, both called so, and every class."""
    photos = tuple(replace(photo, source=f"shelf/{name}.png") for photo in bird.photos)
    return replace(demo, name=name, labels=tuple(f"{name} {k}" for k in range(20))), Batch(bird.tensor, photos)


def pages(demo: Model, bird: Batch, name: str) -> Iterator[tuple[str, str]]:
    model, batch = named(demo, bird, name)
    yield "tree", tree_page(foveal.decompose(model, batch, branching=1).grow(1))
    why = foveal.explain(model, batch)
    scores = foveal.measure(model, batch, explanations={"gradcam": why}, metrics=["deletion"], baseline_maps=False)
    yield "compare", comparison_page({"gradcam": why}, scores)
    yield "bench", bench_page([(name, scores, "deletion", None)], title=name, about=name)
    yield "notebook", why._repr_html_()


@pytest.mark.parametrize("name", NAMES)
def test_pages_have_the_elements_that_they_have_with_plain_names(name: str, demo: Model, bird: Batch) -> None:
    plain = {kind: Elements(text) for kind, text in pages(demo, bird, "plain")}
    for kind, text in pages(demo, bird, name):
        found = Elements(text)
        assert found.elements == plain[kind].elements, kind
        assert found.attributes == plain[kind].attributes, kind
        assert not {"onerror", "onload"} & found.attributes
        visible = name.replace("\x00", "").strip()
        if kind == "bench" and "\x1b" not in name:
            assert visible.split("\u2028")[0].split("\x1b")[0] in found.text, kind
        if kind in ("tree", "compare"):
            assert any(
                visible[:3] in model["name"] for _, known in answers(text, "library") for model in known["models"]
            )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_inside_a_script_cannot_end_it(name: str, demo: Model, bird: Batch) -> None:
    model, batch = named(demo, bird, name)
    text = tree_page(foveal.decompose(model, batch, branching=1).grow(1))
    assert "<script" not in text.split('id="foveal-answers"')[1].split("</script>")[0]
    ((query, whole),) = answers(text, "tree")
    assert whole["target"].startswith(name) and query["model"] == name


def test_script_json_says_what_it_was_given() -> None:
    value = {name: [name, 1.5, None, {"deep": name}] for name in NAMES}
    assert json.loads(str(script_json(value))) == value
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


@pytest.mark.parametrize("name", NAMES)
def test_vector_pictures_are_whole(name: str) -> None:
    sheet = Page(300, 60)
    sheet.text((10, 10), name, 12, ink=(0, 0, 0), anchor="la")
    sheet.place((0, 0), Image.new("RGB", (4, 4)), alt=name)
    root = ET.fromstring(sheet.svg())
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert tags == ["svg", "style", "rect", "text", "g", "image", "title"]


@pytest.mark.parametrize("name", NAMES)
def test_pictures_and_files_take_any_name(name: str, demo: Model, bird: Batch, tmp_path: Path) -> None:
    model, batch = named(demo, bird, name)
    why = foveal.explain(model, batch)
    why.save(tmp_path / "why")
    assert foveal.Explanation.load(tmp_path / "why").target == why.target
    why.figure()
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {tmp_path / "why"}
    assert torch.equal(foveal.Explanation.load(tmp_path / "why").map, why.map)

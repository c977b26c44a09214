"""`foveal.studio`: what is looked at on the page is in Python, and what Python opens is on the page."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import foveal
from foveal.errors import FovealError
from foveal.synthetic import class_scene, demo_scenes, individual_scene, render
from foveal.targets import Margin
from foveal.webapp.handle import StudioHandle
from foveal.webapp.opened import address_of
from tests.networks import tiny

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.conftest import NoTrace

IMAGES = [render(scene)[0] for scene in demo_scenes()[:3]]


@pytest.fixture(scope="module")
def model() -> foveal.Model:
    return foveal.load_model("demo")


@pytest.fixture(scope="module")
def handle(model: foveal.Model) -> Iterator[StudioHandle]:
    with foveal.studio(model, IMAGES, port=0, open=False) as handle:
        yield handle


def select(handle: StudioHandle, page: Page, until: Any) -> Any:
    """What is selected, once the page has told it."""
    for _ in range(200):
        selected = handle.selected
        if selected is not None and until(selected):
            return selected
        page.wait_for_timeout(50)
    raise AssertionError(f"the page told {handle.selected}")


def test_what_is_looked_at_is_in_python(handle: StudioHandle, model: foveal.Model, page: Page) -> None:
    page.goto(handle.address)
    page.get_by_role("heading", level=1).get_by_text("Why").wait_for()
    first = select(handle, page, lambda selected: selected.photo == "image 1")
    assert (first.view, first.model, first.target) == ("decision", "demo", "predicted - runner-up")
    page.keyboard.press("j")
    page.get_by_label("Method").select_option("gradcam")
    second = select(handle, page, lambda selected: selected.method == "gradcam")
    assert second.photo == "image 2" and second.layer is None
    why, same = second.explanation(), foveal.explain(model, IMAGES[1], Margin(None, None), method="gradcam")
    assert torch.equal(why.map, same.map) and why.target == same.target and why.layer == same.layer
    np.testing.assert_array_equal(second.image, IMAGES[1])
    with pytest.raises(FovealError, match="no second photo is selected"):
        second.match()


def test_what_python_opens_is_on_the_page(
    handle: StudioHandle, model: foveal.Model, page: Page, tmp_path: Path
) -> None:
    page.goto(handle.address)
    page.get_by_role("heading", level=1).get_by_text("Why").wait_for()
    fresh = render(class_scene("Epaulet Finch", 12))[0]
    why = foveal.explain(model, fresh, foveal.Class("Barred Finch"), method="gradcam")
    why.save(tmp_path / "why")
    handle.open(foveal.Explanation.load(tmp_path / "why"))
    page.get_by_role("heading", level=1).get_by_text("Barred Finch").wait_for()
    assert page.get_by_label("Method").input_value() == "gradcam"
    assert page.get_by_text("4 of 4").is_visible()
    selected = select(handle, page, lambda selected: selected.target == "Barred Finch")
    assert torch.allclose(selected.explanation().map, why.map, atol=1e-7)
    pair = foveal.match(model, IMAGES[0], IMAGES[1:])
    handle.open(pair)
    page.get_by_role("group", name="Lines, the strongest first").wait_for()
    assert f"{pair.value(0, pair.ranking()[0]):.3f}" in page.locator(".question .answer").inner_text()
    matched = select(handle, page, lambda selected: selected.view == "match" and selected.other is not None).match()
    assert torch.allclose(matched.similarity[0, 0], pair.similarity[0].max())


def test_the_same_again_is_the_studio_that_is_open(model: foveal.Model, no_trace: NoTrace) -> None:
    threads, network = threading.active_count(), tiny()
    with no_trace(model.module):
        one = foveal.studio({"a": model}, IMAGES[0], port=0, open=False)
        again = foveal.studio({"a": model}, IMAGES[:2], port=0, open=False)
        assert again is one and threading.active_count() == threads + 1
        assert repr(one).startswith("studio of a with 2 photos: http://127.0.0.1:")
        other = foveal.studio({"a": network}, port=0, open=False)
        assert other is not one
        one.close()
        other.close()
    assert threading.active_count() == threads
    assert one.closed and "closed" in repr(one) and "closed" in one._repr_html_()
    with pytest.raises(FovealError, match="this studio was closed"):
        one.add(IMAGES)
    assert foveal.studio({"a": model}, port=0, open=False).close() is None


def test_models_have_the_names_that_they_are_given(model: foveal.Model) -> None:
    with foveal.studio([model, model, "embed"], port=0, open=False) as handle:
        assert repr(handle).startswith("studio of demo, demo (2), embed with 0 photos")


def test_a_browser_opens_where_none_is_seen(model: foveal.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with foveal.studio({"b": model}, port=0) as handle:
        assert opened == [handle.address]
        assert foveal.studio({"b": model}, IMAGES[0], port=0) is handle and len(opened) == 1


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (3, "the studio has no view of 3: open an Explanation"),
        (lambda model: foveal.explain(tiny(), torch.rand(1, 3, 32, 32)), "this result is of the model Tiny"),
        (lambda model: foveal.explain(model, torch.rand(1, 3, 160, 160)), "is about a tensor, which the studio"),
        (
            lambda model: foveal.explain(model, IMAGES[0], foveal.Similar(IMAGES[1])),
            "which the page cannot ask for: name it",
        ),
        (
            lambda model: foveal.explain(model, IMAGES[0], method=foveal.Method("mine", formula=product)),
            "the studio has no method mine",
        ),
    ],
)
def test_what_cannot_be_opened_says_why(handle: StudioHandle, model: foveal.Model, result: Any, said: str) -> None:
    with pytest.raises(FovealError, match=said):
        handle.open(result(model) if callable(result) else result)


def test_addresses_of_results(handle: StudioHandle, model: foveal.Model) -> None:
    studio = handle._studio
    hashes = [photo.hash for photo in studio.photos]
    studio.targets["mine"] = first_output
    own = foveal.explain(model, IMAGES[0], first_output)
    assert f"photo={hashes[0]}&target=own%3Amine" in address_of(studio, own)
    linear = foveal.match(model, IMAGES[0], IMAGES[1:], weights="linear", metric="dot")
    assert "by=fam%3Aweights%3Dlinear&metric=dot" in address_of(studio, linear)
    tree = address_of(studio, foveal.decompose(model, IMAGES[2]))
    assert tree.startswith("#/tree?branching=5&model=demo&nodes=neurons") and tree.endswith(
        "rule=pool_up&target=Fan-crested+Jay"
    )
    parts = address_of(studio, foveal.parts(model, IMAGES[2]))
    assert parts == f"#/parts?model=demo&photo={hashes[2]}"
    drawn = render(individual_scene(1, seed=1))[0]
    assert address_of(studio, drawn).startswith("#/decision?photo=")


def product(A: torch.Tensor, G: torch.Tensor) -> torch.Tensor:
    """A method of one's own."""
    return (A * G).sum(1)


def first_output(output: torch.Tensor) -> torch.Tensor:
    """A target of one's own."""
    return output[:, 0]

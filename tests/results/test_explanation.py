from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from foveal.errors import ResultError
from foveal.images import Preprocessing, load_images
from foveal.results import Explanation

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
BATCH = load_images(PIXELS, Preprocessing((16, 16)))


def explanation(**changes: Any) -> Explanation:
    draw = torch.Generator().manual_seed(0)
    whole = Explanation(
        maps={"early": torch.randn(2, 4, 4, generator=draw), "late": torch.rand(2, 2, 2, generator=draw)},
        photos=BATCH.photos,
        score=torch.tensor([1.5, -2.0]),
        probability=torch.tensor([0.75, 0.125]),
        target=("jay (17)", "<robin> & co"),
        target_spec={"kind": "class", "index": [17, 15]},
        method="gradcam",
        parameters={"layer": None},
        model="demo",
        notes=("a note",),
        seconds=0.25,
        versions={"foveal": "0"},
    )
    return replace(whole, **changes)


def test_layers_in_order_and_the_deepest_last() -> None:
    why = explanation()
    assert why.layers == ("early", "late") and why.layer == "late"
    assert why.map is why.maps["late"] and len(why) == 2


def test_one_picture_of_several() -> None:
    last = explanation()[-1]
    assert len(last) == 1 and last.target == ("<robin> & co",)
    assert last.target_spec == {"kind": "class", "index": [15]}
    neuron = {"kind": "neuron", "layer": "early", "position": [3, 4]}
    assert explanation(target_spec=neuron)[1].target_spec == neuron  # two numbers, but not one a picture
    assert torch.equal(last.maps["early"], explanation().maps["early"][1:])
    assert last.score is not None and last.score.tolist() == [-2.0]
    assert [why.target for why in explanation()] == [("jay (17)",), ("<robin> & co",)]
    with pytest.raises(IndexError):
        explanation()[2]
    assert explanation(score=None, probability=None)[0].score is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": {}}, "0 layers"),
        ({"photos": ()}, "0 photos"),
        ({"target": ("one",)}, "1 targets"),
        ({"maps": {"a": torch.zeros(2, 4)}}, r"'a' must be \(2, h, w\)"),
        ({"maps": {"a": torch.zeros(3, 4, 4)}}, "real numbers"),
        ({"maps": {"a": torch.zeros(2, 4, 4, dtype=torch.int64)}}, "int64"),
        ({"maps": {"a": torch.zeros(2, 0, 4)}}, "real numbers"),
        ({"score": torch.zeros(3)}, r"score must have shape \(2,\)"),
        ({"probability": torch.zeros(())}, "probability"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(ResultError, match=message):
        explanation(**changes)


def test_nothing_about_a_map_stays_unsaid() -> None:
    maps = {"a": torch.rand(2, 2, 2), "b": -torch.rand(2, 2, 2), "c": torch.rand(2, 2, 2), "d": torch.rand(2, 2, 2)}
    maps["a"][1] = 0
    maps["c"][0, 0, 0] = torch.nan
    maps["d"][1, 0, 0] = torch.inf
    remarks = explanation(maps=maps).notes
    assert remarks == (
        "a note",
        "a: there is no evidence, the map is all zero (image 1, counted from 0)",
        "b: all evidence is negative (every image)",
        "c: the map has values that are not numbers (image 0, counted from 0)",
        "d: the map has values that are not numbers (image 1, counted from 0)",
    )
    assert explanation(maps=maps, notes=())[0].notes == (
        "b: all evidence is negative",
        "c: the map has values that are not numbers",
    )
    assert explanation().notes == ("a note",)


def test_what_was_decided_to_read_a_photo_is_said() -> None:
    why = explanation()
    photos = tuple(replace(photo, notes=("first of 3 frames",)) for photo in why.photos)
    assert replace(why, photos=photos).notes[-1] == "photo: first of 3 frames (every image)"
    one = replace(why, photos=(why.photos[0], photos[1]))
    assert one.notes[-1] == "photo: first of 3 frames (image 1, counted from 0)"
    assert one[0].notes == ("a note",)


def test_it_draws_on_the_original_photo() -> None:
    assert explanation().overlay(1, color_bar=False).size == (30, 20)
    assert explanation().overlay(0, layer="early", sign="signed", size=90, color_bar=False).size == (90, 60)


def test_scales_per_picture_per_batch_and_fixed() -> None:
    map = torch.zeros(2, 2, 2)
    map[0, 0, 0], map[1, 0, 0] = 1, 4
    why = explanation(maps={"a": map})

    def drawn(i: int, scale: Any) -> Any:
        return np.asarray(why.overlay(i, scale=scale, color_bar=False))

    np.testing.assert_array_equal(drawn(1, "batch"), drawn(1, "image"))
    assert (drawn(0, "batch") != drawn(0, "image")).any()
    np.testing.assert_array_equal(drawn(0, "batch"), drawn(0, 4.0))
    np.testing.assert_array_equal(drawn(0, 1), drawn(0, "image"))
    np.testing.assert_array_equal(drawn(0, "robust"), drawn(0, "image"))  # one value only


@pytest.mark.parametrize("scale", ["row", 0, -1.0, float("nan")])
def test_other_scales_are_refused(scale: Any) -> None:
    with pytest.raises(ResultError, match="'image', 'batch', 'robust' or a number above 0"):
        explanation().overlay(scale=scale)


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(ResultError, match="no map of layer 'x' here; there are early, late"):
        explanation().overlay(layer="x")


def test_the_figure_has_a_row_a_picture_and_a_column_a_layer() -> None:
    why = explanation()
    one, both = why.figure(layers=["late"], side=64), why.figure(side=64)
    assert both.width >= one.width + 64
    assert why[0].figure(side=64).height < both.height


def test_it_reads_well_in_the_terminal() -> None:
    assert str(explanation()) == (
        "gradcam of demo: 2 images, layers early, late, 0.25 s\n"
        "  array: jay (17), score 1.5, 75 %\n"
        "  array: <robin> & co, score −2, 12.5 %\n"
        "  note: a note"
    )
    many = explanation()
    many = replace(
        many,
        maps={"a": torch.rand(30, 2, 2)},
        photos=many.photos[:1] * 30,
        target=("t",) * 30,
        score=None,
        probability=None,
    )
    assert "… and 20 more" in str(many) and str(many).count("\n") == 12


def test_it_shows_itself_in_a_notebook() -> None:
    html = explanation()._repr_html_()
    assert html.count("<img ") == 4 and html.count('alt="gradcam for ') == 4  # two images at two layers
    assert html.count("data:image/") == 4 and "http" not in html
    assert "&lt;robin&gt; &amp; co" in html and "<robin>" not in html
    assert "<li>a note</li>" in html
    assert not re.search(r"\son\w+=", html)

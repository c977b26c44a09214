"""The main job: one command, one page, and scores that mean what they say."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

import foveal
from foveal.demo import run
from foveal.demo.intervals import mean, proportion
from foveal.demo.truth import TruthMeasurements, largest_part, measure, true_effects
from foveal.demo.views import MARGIN
from foveal.methods import FAST
from foveal.metrics.baseline_maps import BASELINE_MAPS, baseline_map_of_photo
from foveal.synthetic import CLASS_NAMES, Split, demo_scenes, render
from foveal.synthetic.ground_truth import decides_visibly, deciding_part
from foveal.synthetic.splits import Example
from tests.recorded import answers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NoTrace


@pytest.fixture(scope="module")
def model() -> foveal.Model:
    return foveal.load_model("demo")


def test_the_page_opens_alone_and_holds_what_it_promises(tmp_path: Path) -> None:
    steps = list(run(tmp_path, images=2, scenes=10, intervened=4))
    assert steps[-1].done == steps[-1].total
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    ((_, library),) = answers(page, "library")
    photos = [photo["hash"] for photo in library["photos"]]
    assert len(photos) == 2 and not library["live"]
    explained = {(query["photo"], query["target"], query["method"]) for query, _ in answers(page, "decision")}
    assert explained >= {(photo, MARGIN, method) for photo in photos for method in FAST}
    for asked in ("scores", "stages", "tree", "ranks", "comparison", "deciding"):
        assert list(dict.fromkeys(query["photo"] for query, _ in answers(page, asked))) == photos, asked
    ((_, measured),) = answers(page, "measured")
    hits, agreement = measured["tables"]
    names = [foveal.METHODS[name].title for name in FAST]
    assert [row["name"] for row in hits["rows"]] == [*names, "random", "center", "edges"]
    assert [row["name"] for row in agreement["rows"]] == [row["name"] for row in hits["rows"]]
    assert "true effect" in [word["what"] for word in measured["terms"]]


def test_the_maps_of_the_page_are_those_of_python(tmp_path: Path, model: foveal.Model) -> None:
    for step in run(tmp_path, images=1, scenes=1, intervened=0):
        if step.description == "scoring scenes":
            break
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    picture = render(demo_scenes()[0])[0]
    found = {query["method"]: answer for query, answer in answers(page, "decision") if query["target"] == MARGIN}
    for method, coarse in (("hirescam", False), ("gradient", True)):
        layers = "all" if method == "hirescam" else None
        why = foveal.explain(model, picture, foveal.Margin(), method=method, layer=layers)
        told = found[method]["maps"][-1]
        values = np.frombuffer(base64.b64decode(told["values"]), np.int8 if coarse else "<f2").astype(float)
        relative = values / 127 if coarse else values
        step = 1 / 254 if coarse else 1 / 1024
        truth = why.map[0].numpy().ravel() / told["scale"]
        assert np.abs(relative - truth).max() <= step * 1.01


@pytest.mark.slow
def test_the_bars_of_the_drawn_world(model: foveal.Model, no_trace: NoTrace) -> None:
    """On fresh scenes: species named, the deciding part has the largest effect, the best map points at it."""
    evidence = TruthMeasurements()
    with no_trace(model.module):
        assert list(measure(model, evidence, scenes=60, intervened=12, seed=101))[-1] == 60
    assert np.mean(evidence.correct) >= 0.97
    assert np.mean(evidence.largest) >= 0.85
    assert max(np.mean(hits) for hits in evidence.hits.values()) >= 0.85
    assert np.mean(evidence.hits["random", ""]) < 0.4
    assert all(len(hits) == 60 for hits in evidence.hits.values())


def test_true_effects_on_a_bundled_picture(model: foveal.Model) -> None:
    scene = demo_scenes()[0]
    example = Example(*render(scene), CLASS_NAMES.index(scene.class_name), scene)
    logit, margin = true_effects(model, example)
    assert largest_part(margin) == deciding_part(scene.class_name) == "beak"
    assert set(margin) == set(logit)
    assert abs(margin["background"]) < abs(margin["beak"]) / 4


def test_scenes_whose_deciding_part_is_hidden_are_left_out() -> None:
    example = Split("classes", 4)[0]
    assert decides_visibly(example)
    hidden = Example(example.image, np.zeros_like(example.labels), example.target, example.scene)
    assert not decides_visibly(hidden)


@pytest.mark.parametrize("name", BASELINE_MAPS)
def test_baseline_maps_fit_the_picture_and_never_change(name: str) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    map = baseline_map_of_photo(name, picture)
    assert map.shape == (50, 70) and np.isfinite(map).all() and map.min() >= 0
    assert np.array_equal(map, baseline_map_of_photo(name, picture.copy()))


def test_intervals_hold_their_values() -> None:
    share = proportion([True] * 9 + [False])
    assert share is not None and share.low is not None and share.high is not None
    assert 0.55 < share.low < share.value == 0.9 < share.high <= 1
    perfect = proportion([True] * 10)
    assert perfect is not None and perfect.low is not None and perfect.low < 0.8
    found = mean([0.0, 1.0, float("nan")])
    assert found is not None and found.value == 0.5
    assert proportion([]) is None and mean([1.0]) is None

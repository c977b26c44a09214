"""What the server says of several methods is what Python says."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import foveal
from foveal.errors import MethodError
from foveal.images import load_images
from foveal.metrics.baseline_maps import center_map, edge_map, norm_map
from foveal.metrics.curves import regrid
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render
from foveal.synthetic.scene import LABELS
from tests.studio.maps import read_map

if TYPE_CHECKING:
    from foveal.models import Model
    from foveal.webapp.studio import Studio
    from tests.studio.asking import Client

JAY, OTHER = "Fan-crested Jay", "Crown-crested Jay"
SCENE = next(scene for scene in demo_scenes() if scene.class_name == JAY)
ON = {"model": "demo", "target": f"{JAY} - {OTHER}"}


@pytest.fixture(scope="module")
def jay(studio: Studio) -> str:
    return next(photo.hash for photo in studio.photos if photo.scene == SCENE)


@pytest.fixture(scope="module")
def model() -> Model:
    return foveal.load_model("demo")


def lead(model: Model, x: torch.Tensor) -> float:
    """How far the jay is ahead of the other."""
    labels = model.labels or ()
    with torch.no_grad():
        scores = model.module(x)[0]
    return float(scores[labels.index(JAY)] - scores[labels.index(OTHER)])


def test_one_comparison_has_the_maps_of_each_method(client: Client, jay: str, model: Model) -> None:
    methods = ["gradcam", "lrp-gamma", "hirescam", "cam"]
    answer = client.answer("comparison", photo=jay, methods=methods, **ON)
    assert [one["method"] for one in answer["methods"]] == methods
    whys = {
        name: foveal.explain(model, [render(SCENE)[0]], foveal.Margin(JAY, OTHER), method=name, layer=layer)
        for name, layer in (("gradcam", "all"), ("hirescam", "all"), ("lrp-gamma", None), ("cam", None))
    }
    assert answer["layers"] == list(whys["gradcam"].layers)
    for one in answer["methods"]:
        why, told = whys[one["method"]], one["decision"]
        assert told["layers"] == list(why.layers)
        assert told["score"] == pytest.approx(float(why.score), rel=1e-5)  # type: ignore[arg-type]
        for map, layer in zip(told["maps"], why.layers, strict=True):
            expected = why.maps[layer][0].double().numpy()
            assert np.abs(read_map(map) - expected).max() < 2e-3 * np.abs(expected).max()
        alone = client.answer("decision", photo=jay, method=one["method"], **ON)
        assert alone["maps"] == told["maps"]


def test_a_method_that_cannot_run_says_why(client: Client, jay: str) -> None:
    parts = {**ON, "model": "parts"}
    answer = client.answer("comparison", photo=jay, methods=["hirescam", "lrp-gamma"], **parts)
    assert answer["methods"][0]["decision"]
    with pytest.raises(MethodError) as error:
        foveal.explain(foveal.load_model("parts"), [render(SCENE)[0]], foveal.Margin(JAY, OTHER), method="lrp-gamma")
    assert answer["methods"][1]["refused"] == str(error.value)


def test_methods_of_many_passes_are_estimated_and_not_run(client: Client, jay: str) -> None:
    answer = client.answer("comparison", photo=jay, methods=["scorecam", "occlusion", "gap"], **ON)
    score, occlusion, gap = answer["methods"]
    assert not any(one["decision"] or one["refused"] for one in answer["methods"])
    assert score["seconds"]["stage3"] == pytest.approx(4 * score["seconds"]["stage1"], rel=1e-6)  # 128 and 32 channels
    assert set(occlusion["seconds"]) == {"input"}
    assert occlusion["seconds"]["input"] / score["seconds"]["stage1"] == pytest.approx(15**2 / 32, rel=1e-6)
    assert gap["seconds"] == {}


def test_the_part_that_decides_is_measured(client: Client, jay: str, model: Model) -> None:
    answer = client.answer("deciding", photo=jay, **ON)
    whole = lead(model, load_images([render(SCENE)[0]], model.preprocessing).tensor)
    without = lead(model, load_images([render(SCENE.without("crest"))[0]], model.preprocessing).tensor)
    assert answer["score"] == pytest.approx(whole, rel=1e-4)
    assert answer["effects"]["crest"] == pytest.approx(whole - without, rel=1e-4)
    assert answer["part"] == "crest" == max(answer["effects"], key=answer["effects"].get)
    labels = np.frombuffer(base64.b64decode(answer["labels"]["values"]), np.uint8)
    assert (labels.reshape(SCENE.size, SCENE.size) == render(SCENE)[1]).all()
    assert answer["labels"]["names"][LABELS["crest"]] == "crest"


def test_a_photo_that_was_not_drawn_has_no_known_truth(client: Client) -> None:

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(render(demo_scenes()[0])[0][:, ::-1].copy()).save(file, "PNG")
    added = client.upload(file.getvalue()).json
    reply = client.ask("deciding", photo=added["hash"], **ON)
    assert reply.status == 400
    assert "was not drawn" in reply.sentence


def test_baseline_maps_are_those_of_the_metrics(client: Client, jay: str, model: Model) -> None:
    answer = client.answer("baselines", photo=jay, model="demo")
    x = load_images([render(SCENE)[0]], model.preprocessing).tensor
    activations: list[torch.Tensor] = []
    with (
        torch.no_grad(),
        model.module.get_submodule("stage3").register_forward_hook(
            lambda module, inputs, output: activations.append(output)
        ),
    ):
        model.module(x)
    expected = {"center": center_map(x), "edges": edge_map(x), "activation": norm_map(activations[-1])}
    maps = {one["name"]: read_map(one["map"]) for one in answer["maps"]}
    assert list(maps) == ["activation", "edges", "center", "random"]
    for name, map in expected.items():
        assert np.abs(maps[name] - map[0].double().numpy()).max() < 2e-3 * float(map.abs().max()), name


def test_what_hiding_the_strongest_tenth_costs(client: Client, jay: str, model: Model) -> None:
    cells: list[dict[str, Any]] = [{"method": "hirescam", "layer": "stage3"}, {"method": "lrp-gamma"}]
    answer = client.answer("method_scores", photo=jay, cells=cells, **ON)
    x = load_images([render(SCENE)[0]], model.preprocessing).tensor
    assert answer["of"] == "score"
    assert answer["whole"] == pytest.approx(lead(model, x), rel=1e-4)
    for cell, told in zip(cells, answer["cells"], strict=True):
        why = foveal.explain(model, [render(SCENE)[0]], foveal.Margin(JAY, OTHER), **cell)
        map = regrid(why.map[0], (28, 28), why.where.get(why.layer), x.shape[2:])
        least = map.flatten().sort(descending=True).values[round(0.1 * 28 * 28) - 1]
        marked = torch.nn.functional.interpolate((map >= least)[None, None].float(), x.shape[2:]) > 0
        hidden = lead(model, torch.where(marked, torch.zeros_like(x), x))
        assert told["hidden"] == pytest.approx(hidden, abs=1e-3)
        assert told["lost"] == pytest.approx(1 - hidden / lead(model, x), abs=1e-3)
    assert [one["method"] for one in answer["baselines"]] == ["edges", "center", "random", "activation"]


def test_units_are_explained_at_the_stages_before_them(client: Client, jay: str, model: Model) -> None:
    told = client.answer("decision", photo=jay, model="demo", target="neuron:stage3:5:4,9", method="hirescam")
    assert (told["kind"], told["layers"]) == ("neuron", ["stem.relu1", "stage1"])
    why = foveal.explain(
        model, [render(SCENE)[0]], foveal.Neuron("stage3", 5, (4, 9)), method="hirescam", layer="stage1"
    )
    expected = why.map[0].double().numpy()
    assert np.abs(read_map(told["maps"][1]) - expected).max() <= 2e-3 * np.abs(expected).max()
    first = client.answer("decision", photo=jay, model="demo", target="neuron:stem.relu1:3", method="hirescam")
    assert first["layers"] == ["input"]

"""Trained networks of signals and volumes: a beat's class along its samples, a region's tissue in a head."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import foveal
from tests import real_networks

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(real_networks.data_folder() is None, reason=f"no data in {real_networks.expected_folder()}"),
]

METHODS = (
    "gradcam", "hirescam", "layercam", "eigencam", "scorecam", "ablationcam", "occlusion", "lrp-epsilon", "deeplift",
    "integratedgradients:steps=20",
)  # fmt: skip


@cache
def beats() -> tuple[Any, Tensor, Tensor]:
    """The network with its labels, and a beat (1, 187) of each class that there is, with its class."""
    stored = np.load(real_networks.expected_folder() / "images" / "ecg" / "mitbih_test_500.npz")
    x, label = torch.from_numpy(stored["beats"])[:, None], torch.from_numpy(stored["labels"]).long()
    model = real_networks.ecg()
    right = model.module(x).argmax(1) == label
    assert float(right.double().mean()) > 0.96
    chosen = [int((right & (label == c)).nonzero()[0]) for c in (0, 1, 2, 4)]
    return model, x[chosen], label[chosen]


@cache
def head() -> tuple[Any, Tensor]:
    """The network with its labels, and a corner of a head (1, 1, 40, 48, 44)."""
    stored = np.load(real_networks.expected_folder() / "images" / "mri" / "t1.npz")
    volume = torch.from_numpy(stored["volume"]).float() / 255
    return real_networks.tissues(), volume[None, None, :40, 16:64, 20:64]


@pytest.mark.parametrize("method", METHODS)
def test_a_beat_is_explained_along_its_samples(method: str) -> None:
    model, x, label = beats()
    why = foveal.explain(model, x, method=method)
    assert why.map.shape == (4, 15 if why.layer == "features" else 187)
    if method != "eigencam":
        assert [int(i) for i in why.target_spec["index"]] == label.tolist()
        assert why.probability is not None and float(why.probability.min()) > 0.5
    alone = foveal.explain(model, x[2:3], method=method)
    torch.testing.assert_close(alone.map[0], why.map[2], atol=1e-4 * float(why.map[2].abs().max()), rtol=1e-3)
    for i in range(4):
        assert why.on_input(i).shape == (187,)
        assert bool(why.on_input(i).any())


def test_occlusion_of_a_beat_by_hand() -> None:
    model, x, _ = beats()
    why = foveal.explain(model, x[:1], 0, method="occlusion:window=20,stride=20")
    whole = model.module(x[:1])[0, 0]
    for start in (0, 60, 120):
        hidden = x[:1].clone()
        hidden[..., start : start + 20] = 0
        lost = float((whole - model.module(hidden)[0, 0]).detach())
        assert float(why.map[0, start + 10]) == pytest.approx(lost, abs=1e-3)


def test_gradients_along_a_beat_add_up() -> None:
    model, x, _ = beats()
    why = foveal.explain(model, x, 2, method="integratedgradients:steps=200")
    gained = (model.module(x) - model.module(torch.zeros_like(x)))[:, 2].detach()
    torch.testing.assert_close(why.map.sum(1), gained, atol=0.05, rtol=0.02)


def test_what_is_marked_decides_the_class() -> None:
    model, x, _ = beats()
    x = x[:3]  # a flat signal is class 4 to this network
    setting = foveal.metrics.EvaluationSettings(steps=20, delete="mean", insert="mean")
    method = "occlusion:window=16"
    table = foveal.measure(
        model, x, explanations=method, metrics=["deletion", "insertion"], baseline_maps=["random"], setting=setting
    )
    true, chance = table.values[method], table.values["(random)"]
    assert sum(true["deletion"]) < sum(chance["deletion"])
    assert sum(true["insertion"]) > sum(chance["insertion"])
    for test in foveal.audit(model, x, explanations="occlusion:window=16", fill="mean", draws=9):
        assert test.marked is not None
        assert test.marked < test.whole


def test_a_regions_tissue_is_explained_in_the_head() -> None:
    model, x = head()
    with torch.no_grad():
        logits, A = model.module(x), model.module.layers(x)
    region = logits.argmax(1) == 2
    assert 500 < int(region.sum()) < region.numel() // 2
    why = foveal.explain(model, x, foveal.Region("grey matter"), method="hirescam")
    assert why.layer == "layers"  # the classes' own scores are no explanation
    assert why.target == (f"grey matter (2), region of {int(region.sum())} voxels",)
    assert float(why.score) == pytest.approx(float(logits[:, 2][region].mean()), abs=1e-4)
    weights, bias = model.module.classifier.weight[2, :, 0, 0, 0], model.module.classifier.bias[2]
    by_hand = torch.einsum("c,ncdhw->ndhw", weights, A) * region / region.sum()
    torch.testing.assert_close(why.map, by_hand.detach(), atol=1e-8, rtol=1e-3)
    assert float(why.map.sum() + bias.detach()) == pytest.approx(float(why.score), abs=1e-3)


def test_what_a_voxel_is_depends_on_what_it_sees() -> None:
    model, x = head()
    at = tuple(int(k) for k in (model.module(x).argmax(1)[0] == 1).nonzero()[50])
    why = foveal.explain(model, x, foveal.Region(1, where=at), method="inputxgradient")
    leaf = x.clone().requires_grad_()
    (G,) = torch.autograd.grad(model.module(leaf)[(0, 1, *at)], leaf)
    torch.testing.assert_close(why.map, (G * x)[:, 0].detach(), atol=1e-6, rtol=1e-3)
    assert why.target == (f"white matter (1), voxel {at}",)


def test_one_logit_on_x_rays() -> None:
    stored = np.load(real_networks.expected_folder() / "images" / "chest_xray" / "pneumoniamnist_test.npz")
    model, pictures = real_networks.pneumonia(), [stored["images"][i] for i in range(3)]
    why = foveal.explain(model, pictures, "pneumonia", method="hirescam")
    bias = float(model.module.fc.bias[1].detach())
    torch.testing.assert_close(why.map.flatten(1).sum(1) + bias, why.score, atol=1e-3, rtol=1e-3)

"""Trained networks say what their outputs mean, or claim nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import foveal
from tests import real_networks

pytestmark = pytest.mark.real


def test_the_chest_x_ray_network(data: Path) -> None:
    """Two logits: nothing is claimed until somebody says that they exclude each other."""
    module, info = real_networks._comparing("pneumonia_cnn")
    with np.load(data / "images" / "chest_xray" / "pneumoniamnist_test.npz") as stored:
        photos, truth = [*stored["images"][:12]], stored["labels"][:12].tolist()
    feed, names = real_networks.preprocessing(info["input"]), info["classes"]
    raw = foveal.explain(module, photos, preprocessing=feed, labels=names)
    known = foveal.explain(module, photos, preprocessing=feed, labels=names, task="classes")
    assert raw.probability is None and raw.meaning == "not known: raw outputs"
    assert known.probability is not None and bool((known.probability > 0.5).all())
    assert raw.target == known.target and torch.equal(raw.map, known.map)
    assert sum(index == true for index, true in zip(known.target_spec["index"], truth, strict=True)) >= 9  # type: ignore[arg-type]


def test_its_margin_is_a_value_whose_reference_is_the_threshold(data: Path) -> None:
    """The difference of its two logits as one predicted number, above or below 0."""
    module, info = real_networks._comparing("pneumonia_cnn")
    with np.load(data / "images" / "chest_xray" / "pneumoniamnist_test.npz") as stored:
        photos = [*stored["images"][:4]]
    minus = nn.Linear(2, 1, bias=False)
    minus.weight.data = torch.tensor([[-1.0, 1.0]])
    net, feed = nn.Sequential(module, minus).eval(), real_networks.preprocessing(info["input"])
    value = foveal.explain(net, photos, foveal.Value(reference=0), preprocessing=feed, method="hirescam")
    margin = foveal.explain(module, photos, foveal.Margin(1, 0), preprocessing=feed, method="hirescam")
    assert torch.allclose(value.map, margin.map, atol=1e-5 * float(margin.map.abs().max()))
    for i, score in enumerate(value.score.tolist()):  # type: ignore[union-attr]
        assert value.caption_lines(i)[1].endswith("above 0" if score >= 0 else "below 0")

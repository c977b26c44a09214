"""Trained networks say what their outputs mean, or claim nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import foveal
from tests import real_networks

pytestmark = pytest.mark.real


def test_the_chest_x_ray_network(data: Path) -> None:
    """One logit: nothing is claimed until somebody says that it is one."""
    module, info = real_networks._comparing("pneumonia_cnn")
    (file, *_) = sorted((data / "images" / "chest_xray").rglob("*.png"))
    feed = real_networks.preprocessing(info["input"])
    raw = foveal.explain(module, file, preprocessing=feed)
    known = foveal.explain(module, file, preprocessing=feed, task="classes", labels=["pneumonia"])
    assert raw.probability is None and raw.target == ("output",)
    assert known.probability is not None and known.score is not None and raw.score is not None
    assert torch.allclose(known.score, raw.score.abs())
    assert known.target[0] == ("pneumonia (1)" if float(raw.score) > 0 else "not pneumonia (0)")
    assert torch.allclose(known.probability, known.score.sigmoid())

"""Trained networks, exported to ONNX, have the maps that they have without."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

import foveal
from foveal.images import load_images
from tests import real_networks

pytestmark = pytest.mark.real
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_grad_cam_of_a_photo_is_that_of_the_network(data: Path, tmp_path: Path, name: str) -> None:
    own = foveal.load_model(f"{real_networks.__file__}:{name}")
    assert own.preprocessing is not None
    photo = sorted((data / "images" / "imagenet").glob("*.jpg"))[3]
    x = load_images(photo, own.preprocessing).tensor
    file = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(own.module, (x,), str(file), dynamo=False)
    model = foveal.load_model(file, labels=own.labels, preprocessing=own.preprocessing, task="classes")
    assert model.notes[0].startswith("converted from ONNX")
    a, b = (foveal.explain(m, photo, method="gradcam") for m in (own, model))
    assert a.target == b.target
    torch.testing.assert_close(a.map, b.map, rtol=1e-3, atol=1e-3 * float(a.map.abs().max()))

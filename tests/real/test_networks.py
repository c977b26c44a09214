"""The trained networks do here what their description says they do."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from foveal.images import load_images
from foveal.models import load_model
from tests import real_networks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real


@pytest.mark.parametrize("name", real_networks.IMAGENET)
def test_reproduces_the_listed_predictions(data: Path, name: str) -> None:
    model = load_model(f"{real_networks.__file__}:{name}")
    folder = data / "images" / "imagenet"
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[::5]
    batch = load_images([folder / row["file"] for row in rows], model.preprocessing)
    with torch.inference_mode():
        probabilities = model.module(batch.tensor).softmax(1)
    column = model.name
    listed = torch.tensor([int(row[f"{column}_top1"]) for row in rows])
    truth = torch.tensor([int(row["class_index"]) for row in rows])
    p_true = torch.tensor([float(row[f"{column}_p_true"]) for row in rows])
    assert (probabilities.argmax(1) == listed).float().mean() >= 0.9
    assert (probabilities.gather(1, truth[:, None])[:, 0] - p_true).abs().median() < 0.01


def test_labels_are_those_of_the_outputs(data: Path) -> None:
    model = load_model(f"{real_networks.__file__}:birds")
    assert model.labels is not None
    assert len(model.labels) == model.module(torch.zeros(1, 3, 224, 224)).shape[1] == 965
    assert model.labels[-1] == "background"


def test_cifar_accuracy(data: Path) -> None:
    model = load_model(f"{real_networks.__file__}:cifar_resnet20")
    with np.load(next((data / "images" / "cifar10").glob("*.npz"))) as stored:
        pictures, truth = stored["images"][:200], torch.from_numpy(stored["labels"][:200].astype(np.int64))
    batch = load_images(list(pictures), model.preprocessing)
    with torch.inference_mode():
        assert (model.module(batch.tensor).argmax(1) == truth).float().mean() > 0.85

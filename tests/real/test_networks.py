"""The trained networks do here what their description says they do."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from benchmarks.real_few_shot import Ways

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


def test_networks_without_classes_have_the_embeddings_they_say(data: Path) -> None:
    for name, shape in (("osnet", (512,)), ("proto_mini", (1600,)), ("dn4_mini", (64, 21, 21))):
        model = load_model(f"{real_networks.__file__}:{name}")
        assert model.preprocessing is not None
        with torch.inference_mode():
            assert model.module(torch.zeros(1, 3, *model.preprocessing.size)).shape == (1, *shape)


def test_a_relation_network_with_its_examples_scores_as_it_does_in_pairs(data: Path) -> None:
    relation = real_networks.relation_omniglot()
    s, q = torch.randn(5, 1, 28, 28), torch.randn(2, 1, 28, 28)
    with torch.inference_mode():
        ours = Ways(relation, s).eval()(q).sigmoid()
        theirs = torch.stack([relation(s, one[None].expand(5, -1, -1, -1)) for one in q])
    torch.testing.assert_close(ours, theirs)

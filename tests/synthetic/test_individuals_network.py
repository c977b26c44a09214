"""The embedding network: its shape, its recipe on a handful of pictures, its examination."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import foveal
from foveal.models import load_model
from foveal.synthetic.individuals import INDIVIDUALS
from foveal.synthetic.network import EmbedNet, GeM
from foveal.synthetic.splits import Split
from foveal.training.synthetic_individuals import KNOWN, IndividualsRecipe, cameras, first_found, numbers_of
from foveal.training.synthetic_recipe import SyntheticSettings, train


def test_generalised_mean() -> None:
    A = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    slow = torch.stack([torch.stack([(a.clamp(min=1e-4) ** 3).sum() / 20 for a in image]) for image in A]) ** (1 / 3)
    assert torch.allclose(GeM()(A), slow)
    assert bool((GeM()(A) >= A.mean((2, 3))).all()) and bool((GeM()(A) <= A.amax((2, 3))).all())


def test_its_maps_sum_to_the_cosine_and_its_places_too() -> None:
    """Pooling and projection are homogeneous, but for dead channels, which the pooling keeps from zero."""
    torch.manual_seed(0)
    model = EmbedNet().double().eval()
    x = torch.randn(3, 3, 80, 80, dtype=torch.float64)
    pair = foveal.match(model, x[:1], x[1:], weights="linear")
    assert pair.layer == "stage3"
    assert torch.allclose(pair.query_maps.sum((2, 3)), pair.similarity, rtol=1e-3)
    assert float(pair.unplaced.abs().max()) < 1e-3


def test_known_and_unknown_individuals_never_meet() -> None:
    split = Split("individuals", 10 * INDIVIDUALS)
    for individuals in (range(KNOWN), range(KNOWN, INDIVIDUALS)):
        numbers = numbers_of(individuals, 3 * len(individuals))
        assert {split.target(number) for number in numbers} == set(individuals)
    seen = cameras(120)
    assert seen.tolist() == [split.scene(n).camera.blur for n in numbers_of(range(KNOWN, INDIVIDUALS), 120)]
    assert int(seen.sum()) == 60


def test_first_found() -> None:
    v = torch.tensor([[1.0, 0], [0, 1], [0.9, 0.1], [0.8, 0.2], [5, 4]])
    who, camera = torch.tensor([0, 1, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 1])
    assert first_found(v, who, camera) == 1.0
    assert first_found(v, torch.tensor([0, 1, 1, 0, 0]), camera) == 0.0


def test_the_recipe_leaves_a_model_that_loads(tmp_path: Path) -> None:
    settings = SyntheticSettings(images=128, epochs=2, batch=32, tests=120)
    steps = list(train(IndividualsRecipe(), tmp_path, settings=settings, device="cpu", workers=0))
    assert [step.phase for step in steps] == ["draw"] * 2 + ["train"] * 8 + ["test"] * 4
    assert steps[-1].accuracy is not None and 0 <= steps[-1].accuracy <= 1
    model = load_model(str(tmp_path / "embed.safetensors"))
    assert {path.name for path in tmp_path.iterdir()} == {"embed.safetensors", "embed.json"}
    site = foveal.find_embedding(model, torch.rand(1, 3, 160, 160))
    assert site.layer == "" and site.said == "the model's output (64 numbers)"
    assert model.card["accuracy"] == {
        "rank 1 across cameras, individuals 60 to 89": pytest.approx(steps[-1].accuracy, abs=1e-4)
    }


def test_the_one_that_ships_recognises_individuals_it_never_saw() -> None:
    """As its card says, on fewer pictures."""
    model = load_model("embed")
    (said,) = model.card["accuracy"].values()
    course = IndividualsRecipe()
    *_, last = course.examined(model.module, SyntheticSettings(tests=120), torch.device("cpu"), 0)
    assert last.accuracy is not None and last.accuracy >= said - 0.15 > 0.5

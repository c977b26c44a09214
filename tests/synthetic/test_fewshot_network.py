"""The few-shot network: its episodes, its recipe on a handful of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from foveal.models import load_model
from foveal.training.synthetic_episodes import EpisodesRecipe, episodes_right, prototype_scores
from foveal.training.synthetic_recipe import SyntheticSettings, train


def test_each_picture_is_compared_with_the_others_of_each_class() -> None:
    torch.manual_seed(0)
    v, target = torch.randn(7, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 1, 2, 0])
    scores = prototype_scores(v, target, 4)
    for i in range(7):
        for c in range(4):
            others = [v[j] for j in range(7) if j != i and target[j] == c]
            slow = -(v[i] - torch.stack(others).mean(0)).square().sum() if others else torch.tensor(-torch.inf)
            assert float(scores[i, c]) == pytest.approx(float(slow), rel=1e-9)


def test_a_class_with_a_single_picture_is_not_asked_about() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    images, targets = torch.randn(5, 3, 2, 2), torch.tensor([0, 0, 1, 1, 2])
    loss = EpisodesRecipe().loss(net, images, targets)
    loss.backward()
    assert bool(loss.isfinite()) and all(bool(p.grad.isfinite().all()) for p in net.parameters() if p.grad is not None)


def test_episodes_of_clear_classes_are_right_and_of_noise_at_chance() -> None:
    class_name = torch.arange(8).repeat(12)
    clear = torch.nn.functional.one_hot(class_name).float() + 0.01 * torch.randn(96, 8)
    assert episodes_right(clear, class_name, episodes=50) == 1.0
    torch.manual_seed(0)
    assert abs(episodes_right(torch.randn(96, 8), class_name, episodes=300) - 0.2) < 0.05


def test_the_recipe_leaves_a_model_that_loads(tmp_path: Path) -> None:
    settings = SyntheticSettings(images=64, epochs=2, batch=32, tests=80)
    steps = list(train(EpisodesRecipe(), tmp_path, settings=settings, device="cpu", workers=0))
    assert [step.phase for step in steps] == ["draw"] + ["train"] * 4 + ["test"] * 3
    model = load_model(str(tmp_path / "fewshot.safetensors"))
    assert model.module(torch.rand(2, 3, 160, 160)).shape == (2, 128)
    assert model.card["accuracy"] == {"novel species, 5 ways, 1 shot": pytest.approx(steps[-1].accuracy, abs=1e-4)}

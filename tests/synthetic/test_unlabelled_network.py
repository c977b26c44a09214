"""The contrastive network: its loss, its views, its recipe on a handful of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from foveal.models import load_model
from foveal.synthetic.sampling import class_scene
from foveal.training import synthetic_views
from foveal.training.synthetic_recipe import SyntheticSettings, train
from foveal.training.synthetic_views import ViewsDataset, ViewsRecipe, another_view, nt_xent


def test_each_view_looks_for_its_partner() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(2, 4, 3, dtype=torch.float64).unbind(0)
    z = torch.nn.functional.normalize(torch.cat([one, other]), dim=1)
    slow = 0.0
    for i in range(8):
        similar = {k: float((z[i] @ z[k] / 0.3).exp()) for k in range(8) if k != i}
        slow -= float(np.log(similar[(i + 4) % 8] / sum(similar.values()))) / 8
    assert float(nt_xent(one, other, 0.3)) == pytest.approx(slow, rel=1e-9)
    assert float(nt_xent(one, one, 0.01)) == pytest.approx(0, abs=1e-6)


def test_views_share_the_bird_and_nothing_else() -> None:
    scene = class_scene("Coral Ibis", 7)
    other = another_view(scene)
    assert other.creature == scene.creature
    assert other.pose != scene.pose and other.backdrop != scene.backdrop and other.light != scene.light
    one, again = ViewsDataset(3, seed=0)[1], ViewsDataset(3, seed=0)[1]
    assert one[0].shape == one[1].shape == (3, 160, 160) and one[0].dtype == torch.uint8
    assert not torch.equal(one[0], one[1]) and torch.equal(one[1], again[1])


def test_the_recipe_leaves_a_model_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_views, "BANK", 40)
    settings = SyntheticSettings(images=64, epochs=2, batch=32, tests=40)
    steps = list(train(ViewsRecipe(), tmp_path, settings=settings, device="cpu", workers=0))
    assert [step.phase for step in steps] == ["draw"] + ["train"] * 4 + ["test"] * 3
    assert all(step.loss is None or np.isfinite(step.loss) for step in steps)
    model = load_model(str(tmp_path / "contrastive.safetensors"))
    assert model.module(torch.rand(2, 3, 160, 160)).shape == (2, 128)
    assert model.card["accuracy"] == {
        "species by the vote of 20 neighbors of 40": pytest.approx(steps[-1].accuracy, abs=1e-4)
    }

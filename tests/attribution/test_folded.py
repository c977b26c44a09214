"""Copies are scored by the folded network, and the numbers stay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.attribution import folded
from foveal.models.extras import import_torchvision


class Home(nn.Module):
    """A network that only takes images channels first, if `flat`."""

    def __init__(self, flat: bool = False) -> None:
        super().__init__()
        self.conv, self.bn, self.head = nn.Conv2d(3, 8, 5, 16), nn.BatchNorm2d(8), nn.Linear(8 * 64, 5)
        self.flat, self.folded = flat, 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.folded += not x.is_contiguous()
        y = self.bn(self.conv(x)).relu()
        return self.head(y.view(len(y), -1) if self.flat else y.flatten(1))


def maps(model: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """Of occlusion: folded, and as the network was written."""
    ours = foveal.explain(model, x, target=1, method="occlusion").map
    monkeypatch.setattr(folded, "BEFORE", 10**9)
    return ours, foveal.explain(model, x, target=1, method="occlusion").map


@pytest.fixture
def x() -> Tensor:
    return torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))


def test_maps_are_those_of_the_network_as_it_was_written(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Home()
    ours, plain = maps(model, x, monkeypatch)
    assert model.folded > 10
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-6)


def test_a_network_that_views_its_memory_runs_as_it_was_written(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Home(flat=True)
    ours, plain = maps(model, x, monkeypatch)
    assert torch.equal(ours, plain)
    assert folded._known[model] is None


def test_a_hooked_network_runs_as_it_was_written(x: Tensor) -> None:
    model = Home()
    model.conv.register_forward_hook(lambda module, given, output: output * 2)
    foveal.explain(model, x, target=1, method="occlusion")
    assert model.folded == 0


def test_weights_that_change_between_two_explanations_are_folded_again(
    x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Home()
    foveal.explain(model, x, target=1, method="occlusion")
    with torch.no_grad():
        model.conv.weight.neg_()
        model.bn.running_mean += 0.3
    ours, plain = maps(model, x, monkeypatch)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-6)


def test_a_network_that_gives_other_numbers_runs_as_it_was_written(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Home()
    monkeypatch.setattr(folded, "TOLERANCE", -1.0)
    foveal.explain(model, x, target=1, method="occlusion")
    assert folded._known[model] is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121"])
def test_architectures_are_folded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = getattr(import_torchvision().models, name)(weights=None).eval()
    x = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    ours, plain = maps(model, x, monkeypatch)
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=float(1e-3 * plain.abs().max()))
    pairs = folded._known[model]
    assert pairs and len(pairs) >= sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) // 3

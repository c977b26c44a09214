"""Maps with a graph, for use in a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError, ModelError
from foveal.methods import METHODS
from tests.networks import Tiny, awake, tiny

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import NoTrace

DIFFERENTIABLE = [name for name, method in METHODS.items() if method.differentiable]
AT_A_LAYER = [name for name in DIFFERENTIABLE if METHODS[name].place != "input"]


class Smooth(Tiny):
    """No corners, so that finite differences of its gradients mean something."""

    def __init__(self) -> None:
        super().__init__(width=3)
        self.norm = nn.BatchNorm2d(3)
        self.relu1, self.relu2, self.pool = nn.Softplus(), nn.Softplus(), nn.AvgPool2d(2)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.relu2(self.conv2(self.pool(self.relu1(self.norm(self.conv1(x)))))).pow(2).mean((2, 3)))


def smooth(method: str) -> nn.Module:
    """A network the method applies to: CAM wants average pooling and a linear layer."""
    torch.manual_seed(0)
    if method == "cam":
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    else:
        model = Smooth()  # type: ignore[assignment]
    return awake(model).double().eval()


@pytest.mark.parametrize("method", DIFFERENTIABLE)
def test_gradients_of_maps_are_their_finite_differences(method: str) -> None:
    model = smooth(method)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 3, 6, 6, generator=generator).double()
    why = foveal.explain(model, x.requires_grad_(), 1, method=method, differentiable=True)
    weights = torch.randn(why.map.shape, generator=generator).double()
    variables = [x, *(p for p in model.parameters() if p.ndim > 1)]
    gradients = torch.autograd.grad((weights * why.map).sum(), variables, allow_unused=True, materialize_grads=True)

    def value() -> float:
        return float((weights * foveal.explain(model, x.detach(), 1, method=method).map).sum())

    for variable, gradient in zip(variables, gradients, strict=True):
        direction = torch.randn(variable.shape, generator=generator).double()
        sides = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                variable += step * direction
                sides.append(value())
                variable -= step * direction
        measured, expected = (sides[0] - sides[1]) / 2e-6, float((gradient * direction).sum())
        assert measured == pytest.approx(expected, rel=1e-4, abs=1e-7), tuple(variable.shape)


@pytest.mark.parametrize("method", DIFFERENTIABLE)
def test_the_maps_are_the_same(method: str, no_trace: NoTrace) -> None:
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    with no_trace(model):
        plain, attached = (foveal.explain(model, x, 1, method=method, differentiable=way) for way in (False, True))
    assert attached.map.requires_grad and not plain.map.requires_grad
    assert torch.allclose(plain.map, attached.map, atol=1e-6)
    assert attached.score is not None and not attached.score.requires_grad


def test_a_loss_on_the_map_falls_and_nothing_piles_up(alive: Callable[[], int]) -> None:
    torch.manual_seed(0)
    model, x = tiny().train(), torch.randn(4, 3, 8, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses, counts = [], []
    for _ in range(50):
        map = foveal.explain(model, x, 1, method="hirescam", differentiable=True).map
        assert all(p.grad is None for p in model.parameters())
        loss = (map[:, :2] ** 2).sum() / (map**2).sum()  # evidence is to leave the upper half
        loss.backward()
        assert model.conv1.weight.grad is not None
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        del map, loss
        counts.append(alive())
    assert losses[-1] < 0.5 * losses[0]
    assert counts[-1] <= counts[2]
    assert model.training and not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("method", AT_A_LAYER)
def test_dead_channels_give_no_bad_numbers(method: str) -> None:
    model = tiny()
    with torch.no_grad():
        model.conv2.weight[:3], model.conv2.bias[:3] = 0, -1  # type: ignore[index]
    for x in (torch.randn(2, 3, 8, 8), torch.zeros(1, 3, 8, 8)):
        foveal.explain(model, x, 1, method=method, differentiable=True).map.pow(2).sum().backward()
        assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_only_what_requires_gradients_gets_them() -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8, requires_grad=True)
    model.conv1.requires_grad_(False)
    foveal.explain(model, x, 1, differentiable=True).map.sum().backward()
    assert x.grad is not None and float(x.grad.abs().amax()) > 0
    assert model.conv1.weight.grad is None and model.conv2.weight.grad is not None
    with pytest.raises(ModelError, match="require"):
        foveal.explain(tiny().requires_grad_(False), torch.randn(1, 3, 8, 8), differentiable=True)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inside_no_grad_as_it_was_asked_for(mode: Any) -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    with mode():
        map = foveal.explain(model, x, 1, differentiable=True).map
        assert not torch.is_grad_enabled()
    map.sum().backward()
    assert model.conv2.weight.grad is not None


def test_several_layers_and_methods_share_the_graph() -> None:
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    results = foveal.compare(model, x, 1, layer="all", differentiable=True, methods=["gradcam", "eigencam"])
    sum(map.sum() for why in results for map in why.maps.values()).backward()  # type: ignore[union-attr]
    assert model.conv1.weight.grad is not None
    assert {why.method for why in foveal.compare(model, x, 1, methods="fast", differentiable=True)} == set(
        DIFFERENTIABLE
    )


@pytest.mark.parametrize(
    "method", [name for name, m in METHODS.items() if name not in DIFFERENTIABLE and not m.similarity]
)
def test_the_others_say_so(method: str) -> None:
    with pytest.raises(MethodError, match=r"no differentiable map.*gradcam"):
        foveal.explain(tiny(), torch.randn(1, 3, 8, 8), method=method, differentiable=True)


def test_results_are_drawn_and_saved_all_the_same(tmp_path: Path) -> None:
    why = foveal.explain(tiny(), torch.randn(2, 3, 8, 8), 1, layer="all", differentiable=True)
    assert why.overlay(1, scale="batch").size == why.overlay(1).size
    assert why.figure().size and why.to_html() and str(why)
    assert why[0].map.requires_grad
    why.save(tmp_path / "out")
    saved = foveal.Explanation.load(tmp_path / "out")
    assert torch.equal(saved.map, why.map.detach()) and not saved.map.requires_grad

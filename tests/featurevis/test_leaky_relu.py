"""Rectifiers that leak on the way back, and change nothing on the way there."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from foveal.featurevis.leaky_relu import LEAK, LeakyReLUGrad
from tests.networks import architecture


@pytest.mark.parametrize(
    "rectify", [functional.relu, torch.relu, torch.Tensor.relu, nn.ReLU(), nn.ReLU(inplace=True), functional.relu6]
)
def test_values_stay_and_gradients_leak(rectify: nn.Module) -> None:
    x = torch.tensor([-2.0, -0.5, 0.5, 2.0], requires_grad=True)
    with LeakyReLUGrad():
        y = rectify(x * 1)
    assert torch.equal(y, x.detach().clamp(min=0))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, torch.tensor([LEAK, LEAK, 1.0, 1.0]))


def test_in_place_really_is() -> None:
    x = torch.tensor([-1.0, 3.0], requires_grad=True)
    with LeakyReLUGrad():
        a = x * 2
        b = functional.relu(a, inplace=True)
        assert a is b and a.tolist() == [0.0, 6.0]
        (gradient,) = torch.autograd.grad((a * a.detach().sign() + b).sum(), x)
    assert gradient.tolist() == pytest.approx([2 * LEAK, 4.0])


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_whole_networks_give_what_they_gave(name: str) -> None:
    net, x = architecture(name), torch.randn(1, 3, 64, 64, requires_grad=True)
    plain = net(x).detach()
    with LeakyReLUGrad():
        found = net(x)
    torch.testing.assert_close(found.detach(), plain, atol=1e-5, rtol=1e-5)
    assert bool(torch.isfinite(torch.autograd.grad(found.sum(), x)[0]).all())

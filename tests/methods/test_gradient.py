"""The gradient at the input: by small steps, by its identities, and where the evidence was planted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.methods import METHODS
from tests.networks import Planted, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def slopes(model: nn.Module, x: Tensor, target: int, step: float = 1e-6) -> Tensor:
    """∂score/∂x by stepping up and down, one number at a time."""
    found = torch.zeros_like(x)
    with torch.no_grad():
        for at in range(x.numel()):
            nudge = torch.zeros(x.numel(), dtype=x.dtype)
            nudge[at] = step
            up, down = (model(x + sign * nudge.view_as(x))[0, target] for sign in (1, -1))
            found.view(-1)[at] = (up - down) / (2 * step)
    return found


def test_the_gradient_is_the_slope_of_the_score(no_trace: NoTrace) -> None:
    model, x = tiny().double(), torch.randn(1, 3, 6, 8, generator=torch.Generator().manual_seed(0)).double()
    G = slopes(model, x, 2)
    with no_trace(model):
        gradient, product = foveal.compare(model, x, 2, methods=["gradient", "inputxgradient"])
    assert gradient.layers == product.layers == ("input",)
    assert torch.allclose(gradient.map, G.abs().amax(1), atol=1e-7)
    assert torch.allclose(product.map, (x * G).sum(1), atol=1e-7)


def test_input_times_gradient_sums_to_the_score_without_biases() -> None:
    model = tiny()
    for module in model.modules():
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    why = foveal.explain(model, torch.randn(3, 3, 8, 10), 1, method="inputxgradient")
    assert torch.allclose(why.map.sum((1, 2)), why.score, atol=1e-5)  # type: ignore[arg-type]


def test_input_times_gradient_lies_where_the_color_is() -> None:
    x = torch.zeros(1, 3, 8, 8)
    x[0, 0, 1, 2], x[0, 1, 6, 5] = 2.0, 1.0
    why = foveal.explain(Planted().eval(), x, foveal.Margin(0, 1), method="inputxgradient")
    assert torch.equal(why.map[0].nonzero(), torch.tensor([[1, 2], [6, 5]]))
    assert why.map[0, 1, 2] > 0 > why.map[0, 6, 5]


@pytest.mark.parametrize("method", ["gradient", "inputxgradient"])
def test_a_unit_inside_is_a_decision_like_any_other(method: str) -> None:
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    why = foveal.explain(model, x, foveal.Neuron("relu2", 4), method=method)
    leaf = x.clone().requires_grad_()
    (G,) = torch.autograd.grad(model.features(leaf)[:, 4].mean((1, 2)).sum(), leaf)
    slow = G.abs().amax(1) if method == "gradient" else (x * G).sum(1)
    assert torch.allclose(why.map, slow, atol=1e-6)


def test_input_times_gradient_is_hirescam_at_the_input_and_at_any_layer() -> None:
    A, G = torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 6)
    assert torch.equal(METHODS["inputxgradient"](A, G), METHODS["hirescam"](A, G))
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    same = foveal.compare(model, x, methods=["inputxgradient", "hirescam"], layer="relu1")
    assert torch.equal(same[0].map, same[1].map)

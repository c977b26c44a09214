"""Captum: Grad-CAM and what it says of the input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from zennit.attribution import SmoothGrad

from tests.peers.raw import captum_grad_cam, captum_input
from tests.peers.subjects import EVERYWHERE, LAYERS, TARGETS, Functional, difference, ours, plain, subject

pytestmark = [  # said each time
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients"),
    pytest.mark.filterwarnings("ignore:\\s*Setting forward, backward hooks and attributes on non-linear"),
]


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
def test_layer_grad_cam_is_the_same_and_signed(name: str, layer: str) -> None:
    model, x = subject(name)
    mine = ours(model, x, "gradcam", layer)
    torch.testing.assert_close(mine, captum_grad_cam(model, x, layer), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_saliency_is_ours_before_we_take_the_strongest_color(name: str) -> None:
    model, x = subject(name)
    theirs = captum_input("Saliency", model, x).amax(1)
    torch.testing.assert_close(ours(model, x, "gradient"), theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("method", ["inputxgradient", "hirescam"])
def test_input_times_gradient_is_ours_before_we_sum_over_colors(name: str, method: str) -> None:
    """HiResCAM at the input is the same formula."""
    model, x = subject(name)
    theirs = captum_input("InputXGradient", model, x).sum(1)
    torch.testing.assert_close(ours(model, x, method), theirs, rtol=1e-9, atol=1e-12)


# --- Averaged gradients, which are Captum's here too: what we hand over and add up -----------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_integrated_gradients_are_captums_with_our_baseline_and_one_image_at_a_time(name: str) -> None:
    model, x = subject(name)
    theirs = captum_input(
        "IntegratedGradients", model, x, baselines=x.mean((2, 3), keepdim=True).expand_as(x), n_steps=8
    )
    assert difference(ours(model, x, "integratedgradients:steps=8,baseline=mean"), theirs.sum(1)) < 1e-9


def test_smoothgrad_is_the_mean_of_the_same_gradients() -> None:
    """Ours scales the noise by each image's own range and keeps signs, zennit too; its last sample has no noise."""
    model, x = plain()

    def chosen(output: Tensor) -> Tensor:
        return nn.functional.one_hot(torch.tensor(TARGETS), output.shape[1]).to(output)

    for noise in (0.0, 1e-9):
        _, theirs = SmoothGrad(model, noise_level=noise, n_iter=4)(x.clone(), chosen)
        mine = ours(model, x, f"smoothgrad:samples=4,noise={noise}")
        assert difference(mine, theirs.detach().sum(1)) < 1e-6


# --- DeepLIFT, by the rescale rule ------------------------------------------------------------------------------------


def deeplift(model: nn.Module, x: Tensor) -> Tensor:
    return captum_input("DeepLift", model, x).sum(1)


def rise(model: nn.Module, x: Tensor) -> Tensor:
    """What all contributions must sum to: the score above that of the black image."""
    with torch.no_grad():
        return (model(x) - model(torch.zeros_like(x)))[torch.arange(2), TARGETS]  # type: ignore[no-any-return]


class Copy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


def test_deeplift_is_the_same_where_no_pool_follows_a_relu() -> None:
    model, x = plain()
    model.body[2] = nn.AvgPool2d(2)
    assert difference(ours(model, x, "deeplift"), deeplift(model, x)) < 1e-9


def test_of_two_modules_in_a_row_captum_loses_the_rule_of_the_second() -> None:
    """Both hook the tensor between them. The first reads its gradient before the second has put its own there.

    So max pooling behind ReLU is the plain gradient. With a copy between the two, each has a tensor of its own.
    """
    model, x = plain()
    mine = ours(model, x, "deeplift")
    torch.testing.assert_close(mine.sum((1, 2)), rise(model, x), rtol=1e-9, atol=0)
    assert difference(deeplift(model, x), mine) > 0.01
    model.body[1] = nn.Sequential(nn.ReLU(), Copy())
    assert difference(deeplift(model, x), mine) < 1e-9


@pytest.mark.parametrize("name", ["functional", "mobilenet_v2"])
def test_what_captum_has_no_rule_for_is_the_gradient_and_the_sum_is_off(name: str) -> None:
    """`F.relu`, and nn.ReLU6."""
    model, x = plain(Functional) if name == "functional" else subject(name)
    torch.testing.assert_close(ours(model, x, "deeplift").sum((1, 2)), rise(model, x), rtol=1e-6, atol=0)
    assert ((deeplift(model, x).sum((1, 2)) / rise(model, x) - 1).abs() > 0.01).all()


def test_modules_that_run_twice_are_an_error_there_and_no_matter_here() -> None:
    model, x = subject("resnet18")
    with pytest.raises(RuntimeError, match="A Module"):
        deeplift(model, x)
    torch.testing.assert_close(ours(model, x, "deeplift").sum((1, 2)), rise(model, x), rtol=1e-6, atol=0)

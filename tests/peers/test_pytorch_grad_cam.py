"""pytorch-grad-cam: the CAM family as it computes it."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import Tensor

from foveal.methods.cam import eigencam, eigengradcam, gradcam_plus_plus
from tests.peers.raw import grad_cam
from tests.peers.subjects import EVERYWHERE, SIGNED, TARGETS, evidence, ours, relative, subject

SAME = {
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "elementwise": "GradCAMElementWise",
}


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
@pytest.mark.parametrize("method", SAME)
def test_the_same_map(method: str, name: str, layer: str) -> None:
    model, x = subject(name)
    mine = ours(model, x, method, layer)
    torch.testing.assert_close(mine, grad_cam(SAME[method], model, x, layer), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
def test_what_it_draws_is_the_positive_part_scaled_resized_and_scaled_again(name: str, layer: str) -> None:
    model, x = subject(name)
    mine = ours(model, x, "gradcam", layer).clamp(min=0).numpy()
    drawn = np.stack([scaled(cv2.resize(scaled(map), x.shape[:1:-1])) for map in mine])
    with pytorch_grad_cam.GradCAM(model, [model.get_submodule(layer)]) as cam:
        theirs = cam(x, [ClassifierOutputTarget(index) for index in TARGETS])
    np.testing.assert_allclose(drawn, theirs, atol=2e-6)


def scaled(map: np.ndarray) -> np.ndarray:
    return np.float32((map - map.min()) / (1e-7 + (map - map.min()).max()))


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
def test_xgradcam_up_to_the_epsilon_in_its_sums(name: str, layer: str) -> None:
    """It divides by ΣA + 10⁻⁷; we by ΣA."""
    model, x = subject(name)
    A, G = evidence(name, layer)
    theirs = grad_cam("XGradCAM", model, x, layer)
    weights = (A * G).sum((2, 3), keepdim=True) / (A.sum((2, 3), keepdim=True) + 1e-7)
    torch.testing.assert_close((weights * A).sum(1), theirs, rtol=1e-9, atol=1e-12)
    assert relative(ours(model, x, "xgradcam", layer), theirs) < 1e-4


# --- Grad-CAM++: α = G² / (2G² + G³ ΣA + 10⁻⁶) ----------------------------------------------------------------------


def theirs_plus_plus(name: str, layer: str, scale: float) -> Tensor:
    """The map for the logits times a factor."""
    model, x = subject(name)
    return grad_cam("GradCAMPlusPlus", model, x, layer, [partial(_scaled, index, scale) for index in TARGETS])


def _scaled(index: int, scale: float, output: Tensor) -> Tensor:
    return scale * output[..., index]


def plus_plus(A: Tensor, G: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """The map of the quotient as it is written, and that without the terms whose denominator is negative."""
    below = 2 * G**2 + G**3 * A.sum((2, 3), keepdim=True) + epsilon
    terms = torch.where(G != 0, G**2 / below, 0) * G.relu()
    weights = [each.sum((2, 3), keepdim=True) for each in (terms, torch.where(below > 0, terms, 0))]
    return (weights[0] * A).sum(1), (weights[1] * A).sum(1)


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e12])
def test_grad_cam_plus_plus_is_the_quotient_with_an_epsilon(name: str, layer: str, scale: float) -> None:
    literal, _ = plus_plus(*evidence(name, layer, scale), epsilon=1e-6)
    assert relative(theirs_plus_plus(name, layer, scale), literal) < 1e-9


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
def test_grad_cam_plus_plus_is_ours_where_gradients_leave_the_epsilon_behind(name: str, layer: str) -> None:
    """Logits times 10¹². In a signed layer a denominator may be negative, which means nothing: we leave such out."""
    A, G = evidence(name, layer, 1e12)
    mine, theirs = gradcam_plus_plus(A, G), theirs_plus_plus(name, layer, 1e12)
    if layer in SIGNED:
        assert relative(mine, theirs) > 0.01
        _, theirs = plus_plus(A, G, epsilon=1e-6)
    assert relative(mine, theirs) < 1e-5


def test_small_gradients_change_its_grad_cam_plus_plus_and_not_ours() -> None:
    """Below 10⁻³ the epsilon is the denominator: weights ΣG³, where the definition tends to ΣReLU(G) / 2."""
    A, G = evidence("tiny", "relu2")
    cubic = ((G.relu() ** 3).sum((2, 3), keepdim=True) * A).sum(1)
    linear = (G.relu().sum((2, 3), keepdim=True) * A).sum(1)
    assert relative(theirs_plus_plus("tiny", "relu2", 1e-4), cubic) < 1e-3
    assert relative(gradcam_plus_plus(A, 1e-4 * G), linear) < 1e-3
    assert relative(cubic, linear) > 0.1


# --- Principal components: centered there, not here ------------------------------------------------------------------


def up_to_sign(a: Tensor, b: Tensor) -> float:
    signs = torch.where((a * b).sum((1, 2), keepdim=True) < 0, -1.0, 1.0)
    return relative(a * signs, b.double())


def centered(X: Tensor) -> Tensor:
    return X - X.mean((2, 3), keepdim=True)


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
def test_eigencam_is_that_of_centered_activations(name: str, layer: str) -> None:
    """It subtracts each channel's mean first; the paper does not, nor do we."""
    model, x = subject(name)
    A, G = evidence(name, layer)
    theirs = grad_cam("EigenCAM", model, x, layer)
    assert up_to_sign(eigencam(centered(A)), theirs) < 1e-5
    of_evidence = grad_cam("EigenGradCAM", model, x, layer)
    assert up_to_sign(eigengradcam(centered(G * A), torch.ones_like(A)), of_evidence) < 1e-5


def test_uncentred_eigencam_is_another_map() -> None:
    model, x = subject("tiny")
    assert up_to_sign(ours(model, x, "eigencam", "relu1"), grad_cam("EigenCAM", model, x, "relu1")) > 0.1


def test_its_sign_is_chance_and_ours_is_not() -> None:
    A = torch.randn(24, 5, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).relu()
    theirs, mine = torch.as_tensor(get_2d_projection(A.numpy())), eigencam(centered(A))
    agree = (theirs * mine).sum((1, 2)) > 0
    assert agree.any() and not agree.all()
    assert ((mine * mine.abs()).sum((1, 2)) > 0).all(), "the larger lobe is positive"

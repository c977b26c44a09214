"""Score-CAM: the two peers mask differently. Each is its own formula, and both are an option here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.peers.raw import grad_cam, torch_cam
from tests.peers.subjects import TARGETS, evidence, ours, relative, subject


def scaled(M: Tensor) -> Tensor:
    """Each channel to 0 … 1."""
    low, high = M.amin((2, 3), keepdim=True), M.amax((2, 3), keepdim=True)
    return (M - low) / (high - low + 1e-8)


def literal(layer: str, masks: Tensor) -> Tensor:
    """Σ_c softmax(score of the image under mask c) A_c."""
    model, x = subject("tiny")
    A, _ = evidence("tiny", layer)
    with torch.no_grad():
        each = [model(image * mask[:, None])[:, k] for image, mask, k in zip(x, masks, TARGETS, strict=True)]
    return (torch.stack(each).softmax(1)[..., None, None] * A).sum(1)


def upsampled_then_scaled(A: Tensor) -> Tensor:
    return scaled(interpolate(A, (24, 24), mode="bilinear", align_corners=True))


def scaled_then_upsampled(A: Tensor) -> Tensor:
    return interpolate(scaled(A), (24, 24), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("layer", ["relu1", "relu2", "conv2"])
def test_grad_cam_upsamples_with_corners_aligned_and_then_scales(layer: str) -> None:
    model, x = subject("tiny")
    A, _ = evidence("tiny", layer)
    theirs = grad_cam("ScoreCAM", model, x, layer)
    torch.testing.assert_close(literal(layer, upsampled_then_scaled(A)), theirs, rtol=1e-5, atol=1e-6)
    assert relative(ours(model, x, "scorecam:align_corners=true", layer), theirs) < 1e-5


@pytest.mark.parametrize("layer", ["relu1", "relu2", "conv2"])
def test_torchcam_scales_and_then_upsamples(layer: str) -> None:
    model, x = subject("tiny")
    A, _ = evidence("tiny", layer)
    theirs = torch_cam("ScoreCAM", model, x, layer)
    torch.testing.assert_close(literal(layer, scaled_then_upsampled(A)).relu(), theirs, rtol=1e-9, atol=1e-12)
    assert relative(ours(model, x, "scorecam:scaling=before", layer).relu(), theirs) < 1e-6


@pytest.mark.parametrize(("name", "layer"), [("resnet18", "layer2"), ("mobilenet_v2", "features.3")])
def test_options_make_ours_either_of_the_two(name: str, layer: str) -> None:
    """In single precision, and up to a factor: channels that are zero take part in their softmax."""
    model, x = subject(name)
    model, x = model.float(), x[:1].float()
    theirs = grad_cam("ScoreCAM", model, x, layer, [ClassifierOutputTarget(0)])
    assert relative(ours(model, x, "scorecam:align_corners=true", layer, 0), theirs) < 1e-4
    with torchcam.methods.ScoreCAM(model, layer) as cam:
        (theirs,) = cam(class_idx=0, scores=model(x), normalized=False)
    assert relative(ours(model, x, "scorecam:scaling=before", layer, 0).relu(), theirs) < 1e-4


def test_a_channel_that_is_constant_has_no_mask_there_and_no_weight_here() -> None:
    """Scaled by 10⁻⁸ it is black: both peers weigh it by the score of the black image."""
    model, x = subject("tiny")
    with torch.no_grad():
        model.conv2.weight[0] = 0
        model.conv2.bias[0] = 50
    mine = ours(model, x, "scorecam:scaling=before", "relu2")
    theirs = torch_cam("ScoreCAM", model, x, "relu2")
    assert relative(mine, theirs) > 0.1
    assert float(theirs.amin()) > 50 / 100 > float(mine.amax()), "a twelfth of the weight, times 50, everywhere"


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor holds that an operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.numbers = max([self.numbers, *(part.numel() for part in tree_leaves(result) if isinstance(part, Tensor))])
        return result


def test_all_masked_images_exist_at_once_there_and_a_few_here() -> None:
    """n · c copies of the image: 47 GB for 16 images and ResNet-50's last stage."""
    model, x = subject("tiny")
    with Largest() as plain, torch.no_grad():
        model(x)
    with Largest() as theirs:
        grad_cam("ScoreCAM", model, x, "relu2")
    with Largest() as mine:
        ours(model, x, "scorecam:chunk=2", "relu2")
    assert theirs.numbers == 12 * x.numel()
    assert mine.numbers == plain.numbers

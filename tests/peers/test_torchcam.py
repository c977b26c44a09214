"""torchcam: the CAM family as it computes it, which is after a ReLU."""

from __future__ import annotations

import pytest
import torch

from foveal.methods.cam import gradcam_plus_plus
from tests.peers.raw import torch_cam
from tests.peers.subjects import EVERYWHERE, TARGETS, evidence, ours, relative, subject


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
@pytest.mark.parametrize(("method", "theirs"), [("gradcam", "GradCAM"), ("layercam", "LayerCAM")])
def test_the_same_map_where_it_is_positive(method: str, theirs: str, name: str, layer: str) -> None:
    model, x = subject(name)
    mine = ours(model, x, method, layer).clamp(min=0)
    torch.testing.assert_close(mine, torch_cam(theirs, model, x, layer), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
def test_xgradcam_up_to_the_epsilon_in_its_sums(name: str, layer: str) -> None:
    """It divides by ΣA + 10⁻⁸; we by ΣA."""
    model, x = subject(name)
    A, G = evidence(name, layer)
    theirs = torch_cam("XGradCAM", model, x, layer)
    weights = (A * G).sum((2, 3), keepdim=True) / (A.sum((2, 3), keepdim=True) + 1e-8)
    torch.testing.assert_close((weights * A).sum(1).relu(), theirs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(ours(model, x, "xgradcam", layer).relu(), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "layer", "head"), [("tiny", "relu2", "fc"), ("resnet18", "layer4", "fc")])
def test_cam_is_the_same_and_signed(name: str, layer: str, head: str) -> None:
    model, x = subject(name)
    theirs = torch_cam("CAM", model, x, layer, fc_layer=head)
    torch.testing.assert_close(ours(model, x, "cam", layer), theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "layer"), EVERYWHERE)
def test_its_grad_cam_plus_plus_never_divides(name: str, layer: str) -> None:
    """The quotient is written into a copy that mask indexing made. What is left are weights Σ G² ReLU(G)."""
    model, x = subject(name)
    A, G = evidence(name, layer)
    theirs = torch_cam("GradCAMpp", model, x, layer)
    undivided = ((G**2 * G.relu()).sum((2, 3), keepdim=True) * A).sum(1).relu()
    torch.testing.assert_close(theirs, undivided, rtol=1e-9, atol=0)


def test_dividing_makes_another_map() -> None:
    model, x = subject("tiny")
    A, G = evidence("tiny", "relu1")
    literal = G**2 / (2 * G**2 + (G**3 * A).sum((2, 3), keepdim=True))  # Σ G³A: the other reading of the paper
    readings = [gradcam_plus_plus(A, G), ((literal.nan_to_num() * G.relu()).sum((2, 3), keepdim=True) * A).sum(1)]
    for reading in readings:
        assert relative(torch_cam("GradCAMpp", model, x, "relu1"), reading) > 0.05


@pytest.mark.parametrize("target", TARGETS)
def test_its_map_of_evidence_against_is_zero(target: int) -> None:
    """Where the whole map is negative its ReLU leaves nothing; ours keeps the numbers, and says so."""
    model, x = subject("tiny")
    with torch.no_grad():
        model.fc.weight.copy_(-model.fc.weight.abs())
    assert (torch_cam("GradCAM", model, x, "relu2") == 0).all()
    assert (ours(model, x, "gradcam", "relu2", target) <= 0).all()

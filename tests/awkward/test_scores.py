"""Scores and outputs other than a tensor of logits, and targets as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError, TargetError
from foveal.methods import METHODS
from tests.networks import Tiny, tiny

if TYPE_CHECKING:
    pass


def test_models_that_end_in_a_sigmoid() -> None:
    class Ends(Tiny):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x).sigmoid()

    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    many = Ends().eval()
    output = many(x).detach()
    why = foveal.explain(many, x, 1)
    assert why.probability is not None and torch.allclose(why.probability, output[:, 1])
    assert why.target_spec["of"] == "probability"
    one = Ends(classes=1).eval()
    p = one(x).detach()[:, 0]
    yes, no, predicted = (foveal.explain(one, x, target) for target in (1, 0, None))
    assert yes.probability is not None and torch.allclose(yes.probability, p)
    assert no.score is not None and torch.allclose(no.score, 1 - p)
    assert predicted.target_spec["index"] == (p > 0.5).long().tolist()


def test_cam_refuses_a_head_of_two_layers_behind_pooling() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 8),
        nn.Hardswish(),
        nn.Linear(8, 2),
    ).eval()
    with pytest.raises(MethodError, match="Hardswish"):
        foveal.explain(model, torch.randn(1, 3, 8, 8), method="cam", layer="1")
    assert "cam" not in [why.method for why in foveal.compare(model, torch.randn(1, 3, 8, 8), layer="1")]


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e12])
def test_principal_components_of_tiny_and_huge_gradients(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    A, G = torch.rand(2, 6, 9, 9, generator=generator), torch.randn(2, 6, 9, 9, generator=generator)
    plain, scaled = METHODS["eigengradcam"](A, G), METHODS["eigengradcam"](A, G * scale) / scale
    assert torch.allclose(plain, scaled, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["hirescam", "eigencam", "eigengradcam"])
def test_activations_that_overflow_are_said_to(method: str) -> None:
    class Overflowing(Tiny):
        def forward(self, x: Tensor) -> Any:
            return self.fc(self.features(x).clamp(max=1).mean((2, 3)))

    model = Overflowing().eval()
    with torch.no_grad():
        model.conv1.weight.fill_(3e38)
    with pytest.raises(MethodError, match="not finite"):
        foveal.explain(
            model,
            torch.ones(1, 3, 8, 8),
            lambda out: torch.zeros(1) + 0 * out[:, 0].nan_to_num(),
            method=method,
            layer="relu1",
        )


def test_labels_that_do_not_fit_the_classes_name_nothing() -> None:
    why = foveal.explain(tiny(), torch.randn(1, 3, 8, 8), 1, labels=["a", "b"])
    assert why.target == ("class 1",)
    with pytest.raises(TargetError, match="2 labels for 3 classes"):
        foveal.explain(tiny(), torch.randn(1, 3, 8, 8), "a", labels=["a", "b"])


def test_a_misspelled_kind_of_score() -> None:
    with pytest.raises(TargetError, match="prob"):
        foveal.Class(1, of="prob")  # type: ignore[arg-type]

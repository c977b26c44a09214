"""Scores and outputs other than a tensor of logits, and targets as people write them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError, TargetError
from foveal.methods import METHODS
from tests.networks import Tiny, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


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
    assert "cam" not in [
        why.method for why in foveal.compare(model, torch.randn(1, 3, 8, 8), methods="fast", layer="1")
    ]


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


def test_labels_that_do_not_fit_the_classes_are_an_error() -> None:
    for target in (None, 1, "a", foveal.Margin(0, 1)):
        with pytest.raises(TargetError, match="2 names for 3 outputs: give 3 names"):
            foveal.explain(tiny(), torch.randn(1, 3, 8, 8), target, labels=["a", "b"])


def test_a_misspelled_kind_of_score() -> None:
    with pytest.raises(TargetError, match="prob"):
        foveal.Class(1, of="prob")  # type: ignore[arg-type]


class ModelOutput(OrderedDict[str, Any]):
    """As Hugging Face has it: an ordered dict without the Nones, read by attribute, key or number, built by keyword."""

    def __init__(self, **parts: Any) -> None:
        super().__init__((key, part) for key, part in parts.items() if part is not None)

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else tuple(self.values())[key]


class Pair(NamedTuple):
    hidden: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Record:
    hidden: Tensor
    logits: Tensor
    loss: None = None


OUTPUTS = [
    lambda h, y: {"hidden": h, "logits": y},
    lambda h, y: (y, h),
    lambda h, y: [y, (h,)],
    Pair,
    Record,
    lambda h, y: ModelOutput(loss=None, logits=y, hidden=h),
    lambda h, y: SimpleNamespace(logits=y, hidden=h),
]


class Returning(Tiny):
    def __init__(self, pack: Any) -> None:
        super().__init__()
        self.stage, self.pack = Stage(pack), pack

    def forward(self, x: Tensor) -> Any:
        inside = self.stage(x)
        features = inside["hidden"] if isinstance(inside, dict) else getattr(inside, "hidden", None)
        if features is None:
            features = inside[1][0] if isinstance(inside[1], tuple) else inside[1]
        return self.pack(features, self.fc(self.relu2(self.conv2(features)).mean((2, 3))))


class Stage(nn.Module):
    """A block that returns such a thing, too."""

    def __init__(self, pack: Any) -> None:
        super().__init__()
        self.conv, self.pack = nn.Conv2d(3, 6, 3), pack

    def forward(self, x: Tensor) -> Any:
        x = self.conv(x)
        return self.pack(x, x.mean((2, 3)))


@pytest.mark.parametrize("pack", OUTPUTS)
def test_models_and_layers_that_return_records(pack: Any, no_trace: NoTrace) -> None:
    torch.manual_seed(0)
    model, x = Returning(pack).eval(), torch.randn(2, 3, 8, 8)
    nested = isinstance(pack(x, x), list)
    with no_trace(model):
        why = foveal.explain(model, x, 1, method="hirescam", layer=["stage.conv" if nested else "stage", "relu2"])
    assert why.score is not None
    A = model.stage.conv(x)
    score = model.fc(model.relu2(model.conv2(A)).mean((2, 3)))[:, 1]
    (G,) = torch.autograd.grad(score.sum(), A)
    assert torch.allclose(why.score, score.detach(), atol=1e-6)
    assert torch.allclose(why.maps[why.layers[0]], (G * A).sum(1).detach(), atol=1e-6)


@pytest.mark.parametrize(
    ("target", "index"),
    [
        (np.int64(1), [1, 1]),
        (np.array([2, 0]), [2, 0]),
        ([np.int32(2), 0], [2, 0]),
        (np.array(2), [2, 2]),
        (torch.tensor(1), [1, 1]),
        (torch.tensor([[1], [2]]), [1, 2]),
        (range(2), [0, 1]),
        ((2, np.uint8(1)), [2, 1]),
        (foveal.Class(np.int64(2)), [2, 2]),
        (foveal.Class(torch.tensor([1, 0])), [1, 0]),
    ],
)
def test_class_numbers_of_other_libraries(target: Any, index: list[int]) -> None:
    assert foveal.explain(tiny(), torch.randn(2, 3, 8, 8), target).target_spec["index"] == index


def test_margins_between_class_numbers_of_other_libraries() -> None:
    why = foveal.explain(tiny(), torch.randn(2, 3, 8, 8), foveal.Margin(np.int64(1), np.array([0, 2])))
    assert (why.target_spec["a"], why.target_spec["b"]) == ([1, 1], [0, 2])


@pytest.mark.parametrize("target", [np.float32(1), np.array([0.5]), torch.tensor([1.0]), np.array([True])])
def test_what_is_no_class_number(target: Any) -> None:
    with pytest.raises(TargetError, match="cannot explain target"):
        foveal.explain(tiny(), torch.randn(1, 3, 8, 8), target)


def test_evidence_that_is_all_against_is_said_to_be() -> None:
    model = tiny()
    with torch.no_grad():
        model.fc.weight.abs_().neg_()
    why = foveal.explain(model, torch.randn(1, 3, 8, 8), 1)
    assert float(why.map.amax()) <= 0
    assert any("all evidence is negative" in remark for remark in why.notes)

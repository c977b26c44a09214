"""What users of the peers stumble over, shown on the peer and shown to be absent here."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

import foveal
from foveal.errors import TargetError
from tests.networks import Planted, Tiny, tiny
from tests.peers.raw import captum_grad_cam, grad_cam, torch_cam

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import NoTrace

X = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
ZERO = [ClassifierOutputTarget(0)] * 2


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_weights_get_no_gradient_and_the_mode_stays(no_trace: NoTrace) -> None:
    model = tiny().train()
    with no_trace(model):
        foveal.compare(model, X, 0, methods="fast")
    assert model.training and all(weight.grad is None for weight in model.parameters())
    grad_cam("GradCAM", model, X, "relu2", ZERO)
    assert not model.training and all(weight.grad is not None for weight in model.parameters())


def test_a_class_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    model, result = tiny(), None
    with pytorch_grad_cam.GradCAM(model, [model.relu2]) as cam:
        result = cam(X, [ClassifierOutputTarget(99)] * 2)
    assert result is None and "out of bounds" in capsys.readouterr().out
    with pytest.raises(TargetError, match="99"):
        foveal.explain(model, X, 99)


def test_no_hook_outlives_a_call_with_or_without_a_block() -> None:
    model = tiny()
    extractor = torchcam.methods.GradCAM(model, "relu2")
    del extractor
    gc.collect()
    assert hooks(model) == 2
    model = tiny()
    with pytest.raises(TargetError):
        foveal.explain(model, X, 99)
    foveal.explain(model, X, 0)
    assert hooks(model) == 0


@pytest.mark.parametrize("method", ["gradcam", "eigencam", "guidedbackprop", "lrp-zplus", "ablationcam"])
def test_two_hundred_explanations_without_a_collector_keep_no_hook_and_no_tensor(
    method: str, no_trace: NoTrace, alive: Callable[[], int]
) -> None:
    model = tiny()
    foveal.explain(model, X, 0, method=method)
    with no_trace(model):
        before = alive()
        for _ in range(200):
            foveal.explain(model, X, 0, method=method)
        after = alive()
    assert hooks(model) == 0
    assert after <= before + 5


class Twice(Tiny):
    """One ReLU, called twice."""

    def features(self, x: Tensor) -> Tensor:
        return self.relu1(self.conv2(self.pool(self.relu1(self.conv1(x)))))  # type: ignore[no-any-return]


def test_a_module_called_twice_is_explained_at_the_call_that_is_named() -> None:
    torch.manual_seed(0)
    model = Twice().eval()
    last = foveal.explain(model, X, [2, 0], layer="relu1")
    first = foveal.explain(model, X, [2, 0], layer="relu1#0").map
    assert any("relu1 runs 2 times" in note for note in last.notes)
    torch.testing.assert_close(grad_cam("GradCAM", model, X, "relu1"), first)
    torch.testing.assert_close(torch_cam("GradCAM", model, X, "relu1"), last.map.relu())
    torch.testing.assert_close(captum_grad_cam(model, X, "relu1"), last.map)


def test_evidence_that_is_all_negative_is_shown_and_said() -> None:
    model, x = Planted().eval(), torch.rand(2, 3, 6, 6)
    with torch.no_grad():
        model.fc.weight.neg_()
    why = foveal.explain(model, x, 0, layer="relu")
    assert (why.map < 0).all()
    assert any("all evidence is negative" in remark for remark in why.notes)
    with pytorch_grad_cam.GradCAM(model, [model.relu]) as cam:
        assert (cam(x, ZERO) == 0).all()


def test_several_explanations_of_one_model_at_once() -> None:
    model, x = tiny(), X.clone().requires_grad_()
    alone = foveal.explain(model, X, 0).map

    def score(output: Tensor) -> Tensor:
        assert torch.equal(foveal.explain(model, X, 0).map, alone)
        return output[:, 0]  # type: ignore[no-any-return]

    assert torch.equal(foveal.explain(model, x, score).map, alone)
    assert x.grad is None

"""Ablation-CAM against its definition: a whole forward for each channel, with a hook that silences it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError
from tests.methods.perturbed import TARGET, activation, explained, images, network, peak, planted, score
from tests.networks import tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def literal(model: nn.Module, x: Tensor, layer: str = "relu2", fill: str = "zero") -> Tensor:
    A, y = activation(model, x, layer), score(model, x)
    map = torch.zeros_like(A[0])
    for c, a in enumerate(A):

        def silence(_module: nn.Module, _inputs: Any, output: Tensor, c: int = c, a: Tensor = a) -> Tensor:
            output = output.clone()
            output[:, c] = 0 if fill == "zero" else a.mean()
            return output

        hook = model.get_submodule(layer).register_forward_hook(silence)
        map += (y - score(model, x)) * a
        hook.remove()
    return map


@pytest.mark.parametrize("fill", ["zero", "mean"])
@pytest.mark.parametrize("layer", ["conv1", "relu1", "conv2", "relu2"])
def test_it_is_its_definition(layer: str, fill: str, no_trace: NoTrace) -> None:
    model, x = network(), images(2)
    with no_trace(model):
        maps = explained(model, x, f"ablationcam:fill={fill}", layer)
    for map, image in zip(maps, x, strict=True):
        assert torch.allclose(map, literal(model, image, layer, fill), rtol=1e-7, atol=1e-12)


class Residual(nn.Module):
    """One block with a skip connection round two convolutions, everything as functions but the layers' weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.one, self.two = (nn.Conv2d(c, 6, 3, padding=1) for c in (3, 6, 6))
        self.fc = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.stem(x).relu()
        b = nn.functional.relu(self.two(nn.functional.relu(self.one(a))) + a)
        return self.fc(b.amax((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("layer", ["stem", "one", "two"])
def test_it_is_its_definition_inside_a_residual_block(layer: str) -> None:
    model, x = Residual().double().eval(), images()
    why = foveal.explain(model, x, TARGET, method="ablationcam", layer=layer)
    assert why.measured[layer] == {"resumed": [True]}
    assert torch.allclose(why.map[0], literal(model, x[0], layer), rtol=1e-7, atol=1e-12)


def test_behind_a_linear_head_a_channel_weighs_what_it_adds() -> None:
    """There it is w_c ⟨A_c⟩ A_c with w the classifier's weights."""
    model, x = network(), images()
    A = activation(model, x[0])
    by_hand = torch.einsum("c,c,chw->hw", model.fc.weight[TARGET], A.mean((1, 2)), A)  # type: ignore[union-attr, index]
    assert torch.allclose(explained(model, x, "ablationcam")[0], by_hand)


def test_unused_and_already_silent_channels_weigh_nothing() -> None:
    model, x = network(), images()
    with torch.no_grad():
        model.fc.weight[:, 2] = 0  # type: ignore[union-attr, index, operator]
        model.conv2.weight[5], model.conv2.bias[5] = 0, -1.0  # type: ignore[union-attr, index, operator]
    told: list[int] = []
    map = foveal.explain(
        model, x, TARGET, method="ablationcam", layer="relu2", progress=lambda what, done, total: told.append(total)
    ).map
    assert set(told) == {int((activation(model, x[0]).amax((1, 2)) > 0).sum())} and told[0] < 12
    with torch.no_grad():
        A = activation(model, x[0])
        rest = [c for c in range(12) if c not in (2, 5)]
        by_hand = torch.einsum("c,c,chw->hw", model.fc.weight[TARGET, rest], A[rest].mean((1, 2)), A[rest])  # type: ignore[union-attr, index]
    assert torch.allclose(map[0], by_hand, rtol=1e-6)


def test_a_constant_channel_is_its_own_mean() -> None:
    model, x = network(), images()
    with torch.no_grad():
        model.conv2.weight.zero_(), model.conv2.bias.fill_(0.1)  # type: ignore[union-attr, operator]
    assert (explained(model, x, "ablationcam:fill=mean") == 0).all()
    assert (explained(model, x, "ablationcam:fill=zero") != 0).any()


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_each_image_is_on_its_own_in_any_order_and_chunk(chunk: int) -> None:
    model, x = network(), images(3)
    maps = explained(model, x, "ablationcam", "relu1")
    assert torch.allclose(explained(model, x, f"ablationcam:chunk={chunk}", "relu1"), maps, rtol=1e-7)
    assert torch.allclose(explained(model, x.flip(0), "ablationcam", "relu1").flip(0), maps, rtol=1e-7)
    assert torch.allclose(explained(model, x[2:], "ablationcam", "relu1")[0], maps[2], rtol=1e-7)


def test_activations_worked_on_in_place_right_after_the_layer() -> None:
    x = images()
    plain, in_place = (explained(tiny(inplace=flag).double(), x, "ablationcam:chunk=3", "conv2") for flag in (0, 1))
    assert torch.allclose(plain, in_place, rtol=1e-9)


def test_means_behind_average_pooling_are_said_to_be_noise() -> None:
    """All that gets through the pooling is the mean."""
    for fill, noise in (("mean", True), ("zero", False)):
        why = foveal.explain(network(), images(), TARGET, method=f"ablationcam:fill={fill}", layer="relu2")
        assert all(any(word in note for note in why.notes) == noise for word in ("noise", "fill=zero"))
    why = foveal.explain(network(), images(), TARGET, method="ablationcam:fill=mean", layer="relu1")
    assert not any("noise" in note for note in why.notes)


def test_margins_near_zero_have_a_map() -> None:
    """The paper divides by the score."""
    model, x = network(), images()
    with torch.no_grad():
        margin = model(x)[0, 0] - model(x)[0, 1]
        model.fc.bias[0] -= margin  # type: ignore[union-attr, operator, index]
    why = foveal.explain(model, x, foveal.Margin(0, 1), method="ablationcam")
    assert float(why.score.abs()) < 1e-12  # type: ignore[union-attr, arg-type]
    assert 1e-6 < float(why.map.abs().amax()) < 10


def test_points_at_planted_evidence() -> None:
    model, x, (rows, columns) = planted()
    row, column = peak(explained(model, x, "ablationcam", "relu")[0])
    assert rows.start <= row < rows.stop and columns.start <= column < columns.stop


def test_half_precision_weights(no_trace: NoTrace) -> None:
    model, x = tiny().bfloat16(), images().bfloat16()
    with no_trace(model):
        why = foveal.explain(model, x, TARGET, method="ablationcam")
    single = explained(tiny(), images().float(), "ablationcam")
    assert why.map.dtype == torch.float32 and why.measured["relu2"] == {"resumed": [True]}
    assert torch.allclose(why.map, single, atol=0.1 * float(single.abs().amax()))


def test_fills_there_are_not() -> None:
    with pytest.raises(MethodError, match="fill=zero or fill=mean"):
        explained(network(), images(), "ablationcam:fill=-1e7")

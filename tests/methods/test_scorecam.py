"""Score-CAM and kin against their definitions, one mask at a time, and by their identities."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import foveal
from foveal.errors import MethodError
from foveal.methods.clusters import cluster
from tests.methods.perturbed import TARGET, activation, explained, images, network, peak, planted, score
from tests.networks import tiny

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import NoTrace

FAMILY = ["scorecam", "sscorecam:samples=3", "isscorecam:samples=3"]


def stretched(M: Tensor) -> Tensor:
    return (M - M.min()) / (M.max() - M.min())


def mask(a: Tensor, x: Tensor, scaling: str, align_corners: bool) -> Tensor:
    def up(M: Tensor) -> Tensor:
        return interpolate(M[None, None], x.shape[1:], mode="bilinear", align_corners=align_corners)[0, 0]

    return stretched(up(a)) if scaling == "after" else up(stretched(a))


def literal(
    model: nn.Module,
    x: Tensor,
    scaling: str = "after",
    align_corners: bool = False,
    alter: Callable[[Tensor], list[Tensor]] = lambda M: [M],
    softmax: bool = True,
) -> Tensor:
    """The definition: a forward a mask, exponentials, their sum, and a weighted sum of channels."""
    A = activation(model, x)
    black = score(model, torch.zeros_like(x))
    gains = {}
    for c, a in enumerate(A):
        if a.max() > a.min():
            masks = alter(mask(a, x, scaling, align_corners))
            gains[c] = sum(score(model, x * M) - black for M in masks) / len(masks)
    below = sum(exp(gain) for gain in gains.values())
    weights = {c: exp(gain) / below if softmax else gain for c, gain in gains.items()}
    return sum(weight * A[c] for c, weight in weights.items())  # type: ignore[return-value]


@pytest.mark.parametrize("scaling", ["after", "before"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("weights", ["softmax", "difference"])
def test_score_cam_is_its_definition(scaling: str, align_corners: bool, weights: str) -> None:
    model, x = network(), images(2)
    method = f"scorecam:scaling={scaling},align_corners={align_corners},weights={weights}"
    for map, image in zip(explained(model, x, method), x, strict=True):
        slow = literal(model, image, scaling, align_corners, softmax=weights == "softmax")
        assert torch.allclose(map, slow, rtol=1e-9, atol=1e-12)


def test_integrated_score_cam_is_its_definition() -> None:
    model, x = network(), images()
    slow = literal(model, x[0], alter=lambda M: [M * i / 4 for i in (1, 2, 3, 4)])
    assert torch.allclose(explained(model, x, "isscorecam:samples=4")[0], slow, rtol=1e-9)


def test_smoothed_score_cam_is_its_definition() -> None:
    model, x = network(), images()
    noise = 0.5 * torch.randn(3, 1, 12, 16, generator=torch.Generator().manual_seed(0)).double()
    slow = literal(model, x[0], alter=lambda M: [M + delta[0] for delta in noise])
    assert torch.allclose(explained(model, x, "sscorecam:samples=3,sigma=0.5")[0], slow, rtol=1e-6)


def test_without_noise_smoothed_is_plain() -> None:
    model, x = network(), images()
    assert torch.allclose(explained(model, x, "sscorecam:samples=2,sigma=0"), explained(model, x, "scorecam"))


@pytest.mark.parametrize("method", FAMILY)
def test_each_image_is_on_its_own_in_any_order_and_chunk(method: str, no_trace: NoTrace) -> None:
    model, x = network(), images(3)
    with no_trace(model):
        maps = explained(model, x, method)
        chunked = explained(model, x, method + (":" if ":" not in method else ",") + "chunk=2")
    assert torch.allclose(chunked, maps, rtol=1e-9)
    assert torch.allclose(explained(model, x.flip(0), method), maps.flip(0), rtol=1e-9)
    assert torch.allclose(explained(model, x[1:2], method)[0], maps[1], rtol=1e-9)


@pytest.mark.parametrize("method", FAMILY)
def test_constant_channels_weigh_nothing(method: str) -> None:
    """Not even where they are far from zero: without them, the map is the same but for them."""
    model, x = network(), images()
    with torch.no_grad():
        model.conv2.weight[3], model.conv2.bias[3] = 0, 5.0  # type: ignore[union-attr, index, operator]
        model.fc.weight[:, 3] = 0  # type: ignore[union-attr, index, operator]
    constant = explained(model, x, method)
    with torch.no_grad():
        model.conv2.bias[3] = -5.0  # type: ignore[union-attr, index, operator]
    assert torch.allclose(explained(model, x, method), constant, rtol=1e-9)


@pytest.mark.parametrize("method", [*FAMILY, "scorecam:clusters=2", "scorecam:weights=difference", "opticam:steps=2"])
def test_a_dead_layer_has_a_map_of_zeros(method: str) -> None:
    model, x = network(), images()
    with torch.no_grad():
        model.conv2.weight.zero_(), model.conv2.bias.fill_(-1.0)  # type: ignore[union-attr, operator]
    assert (explained(model, x, method) == 0).all()


@pytest.mark.parametrize("method", [*FAMILY, "scorecam:weights=difference"])
def test_points_at_planted_evidence(method: str) -> None:
    model, x, (rows, columns) = planted()
    row, column = peak(explained(model, x, method, "relu")[0])
    assert rows.start <= row < rows.stop and columns.start <= column < columns.stop


def test_masks_go_with_any_decision(no_trace: NoTrace) -> None:
    model, x = network(), images(2)
    first = torch.stack([literal(_Reading(model, 0), image) for image in x])
    with no_trace(model):
        neuron = foveal.explain(model, x, foveal.Neuron("fc", 0), method="scorecam", layer="relu2").map
        custom = foveal.explain(model, x, lambda output: output[:, 0], method="scorecam", layer="relu2").map
        margin = foveal.explain(model, x, foveal.Margin(0, 1), method="scorecam", layer="relu2").map
    assert torch.allclose(neuron, first, rtol=1e-9) and torch.allclose(custom, first, rtol=1e-9)
    assert not torch.allclose(margin, first, rtol=1e-3)


class _Reading(nn.Module):
    """The same network with another class in TARGET's place."""

    def __init__(self, model: nn.Module, index: int) -> None:
        super().__init__()
        self.model, self.index, self.relu2 = model, index, model.relu2

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[:, [self.index] * (TARGET + 1)]  # type: ignore[no-any-return]


# --- Clusters -----------------------------------------------------------------------------------------------------


def test_as_many_clusters_as_channels_is_exact() -> None:
    model, x = network(), images()
    assert torch.equal(explained(model, x, "scorecam:clusters=12"), explained(model, x, "scorecam"))


def test_channels_that_are_alike_share_a_mask_at_no_loss() -> None:
    model, x = network(), images(2)
    with torch.no_grad():
        for weights in (model.conv2.weight, model.conv2.bias):  # type: ignore[union-attr]
            weights[6:] = weights[:6]  # type: ignore[index]
    varying = max(int((activation(model, image)[:6].amax((1, 2)) > 0).sum()) for image in x)
    why = foveal.explain(model, x, TARGET, method=f"scorecam:clusters={varying}")
    assert torch.allclose(why.map, explained(model, x, "scorecam"), rtol=1e-9)
    assert max(why.measured["relu2"]["cluster score error"]) < 1e-9  # type: ignore[call-overload, index]
    assert max(why.measured["relu2"]["cluster weight misplaced"]) < 1e-9  # type: ignore[call-overload, index]


def test_the_error_of_clusters_is_measured() -> None:
    found = foveal.explain(network(), images(2), TARGET, method="scorecam:clusters=2").measured["relu2"]
    assert all(value > 0 for value in found["cluster score error"])  # type: ignore[call-overload, index]
    assert all(0 < value < 1 for value in found["cluster weight misplaced"])  # type: ignore[call-overload, index]


def test_k_means_finds_separate_heaps_whatever_their_order() -> None:
    generator = torch.Generator().manual_seed(0)
    heaps = torch.arange(4).repeat_interleave(5)
    X = 10 * torch.eye(4)[heaps] + 0.1 * torch.randn(20, 4, generator=generator)
    order = torch.randperm(20, generator=generator)
    group = cluster(X[order], 4)
    assert all(len(set(group[heaps[order] == heap].tolist())) == 1 for heap in range(4))
    assert sorted(group.unique().tolist()) == [0, 1, 2, 3]
    assert torch.equal(group, cluster(X[order], 4))


def test_k_means_of_equal_rows_is_one_group() -> None:
    assert cluster(torch.ones(5, 3), 3).tolist() == [0] * 5


# --- Precision ----------------------------------------------------------------------------------------------------


def test_half_precision_is_measured_and_close() -> None:
    model, x = tiny(), images(2).float()
    why = foveal.explain(model, x, TARGET, method="scorecam:precision=bfloat16")
    single = explained(model, x, "scorecam")
    assert why.map.dtype == torch.float32
    assert 0 < (why.map - single).abs().amax() < 0.05 * single.abs().amax()
    assert all(0 < error < 0.5 for error in why.measured["relu2"]["bfloat16 score error"])  # type: ignore[call-overload, index]


@pytest.mark.parametrize("method", [*FAMILY, "opticam:steps=2"])
def test_half_precision_weights(method: str, no_trace: NoTrace) -> None:
    model, x = tiny().bfloat16(), images().bfloat16()
    with no_trace(model):
        map = explained(model, x, method)
    single = explained(tiny(), images().float(), method)
    assert map.dtype == torch.float32
    assert torch.allclose(map, single, atol=0.1 * float(single.abs().amax()))


@pytest.mark.parametrize("option", ["scaling=during", "weights=guess", "precision=int8"])
def test_options_there_are_not(option: str) -> None:
    with pytest.raises(MethodError, match=option.split("=")[1]):
        explained(network(), images(), f"scorecam:{option}")

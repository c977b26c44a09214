"""Maps of signals and volumes, derived again by hand from the activations and autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import foveal
from foveal.errors import ResultError
from tests.space.networks import SIZES, Net, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NoTrace

LINEAR = {1: "linear", 3: "trilinear"}


def captured(net: Net, x: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """Activations of the last stage, and the derivative of the logit."""
    A = net.end(net.mid(net.stem(x)))
    score = net.fc(net.pool(A).flatten(1))[:, target]
    (G,) = torch.autograd.grad(score.sum(), A)
    return A.detach(), G


@pytest.mark.parametrize("axes", [1, 3])
def test_gradcam_by_hand(axes: int, no_trace: NoTrace) -> None:
    net, x = Net(axes), images(axes)
    with no_trace(net):
        why = foveal.explain(net, x, 2, method="gradcam")
    A, G = captured(net, x, 2)
    for i in range(len(x)):
        by_hand = torch.zeros(A.shape[2:])
        for c in range(A.shape[1]):
            by_hand += G[i, c].mean() * A[i, c]
        torch.testing.assert_close(why.map[i], by_hand, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("axes", [1, 3])
def test_hirescam_by_hand_sums_to_the_score(axes: int) -> None:
    net, x = Net(axes), images(axes)
    why = foveal.explain(net, x, 2, method="hirescam")
    A, G = captured(net, x, 2)
    torch.testing.assert_close(why.map, (A * G).sum(1), atol=1e-6, rtol=1e-4)
    bias = float(net.fc.bias[2].detach())
    torch.testing.assert_close(why.map.flatten(1).sum(1) + bias, why.score, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("axes", [1, 3])
def test_eigencam_is_the_first_singular_vector(axes: int) -> None:
    net, x = Net(axes), images(axes, n=1)
    map = foveal.explain(net, x, 2, method="eigencam").map.flatten()
    A, _ = captured(net, x, 2)
    _, _, V = torch.linalg.svd(A[0].flatten(1).T, full_matrices=False)
    M = A[0].flatten(1).T @ V[0]
    torch.testing.assert_close(map.abs(), M.abs(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("axes", [1, 3])
def test_scorecam_by_hand(axes: int) -> None:
    net, x = Net(axes), images(axes, n=1)
    map = foveal.explain(net, x, 2, method="scorecam").map[0]
    A, _ = captured(net, x, 2)
    scores, kept = [], []
    for c in range(A.shape[1]):
        M = functional.interpolate(A[:, c : c + 1], SIZES[axes], mode=LINEAR[axes], align_corners=False)
        if M.max() > M.min():
            M = (M - M.min()) / (M.max() - M.min())
            scores.append(net(x * M)[0, 2].detach())
            kept.append(c)
    weights = torch.stack(scores).softmax(0)
    by_hand = sum((w * A[0, c] for w, c in zip(weights, kept, strict=True)), torch.zeros(A.shape[2:]))
    torch.testing.assert_close(map, by_hand, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("axes", [1, 3])
def test_ablationcam_by_hand(axes: int) -> None:
    net, x = Net(axes), images(axes, n=1)
    map = foveal.explain(net, x, 2, method="ablationcam").map[0]
    A, _ = captured(net, x, 2)
    by_hand = torch.zeros(A.shape[2:])
    for c in range(A.shape[1]):
        without = A.clone()
        without[:, c] = 0
        lost = net(x)[0, 2] - net.fc(net.pool(without).flatten(1))[0, 2]
        by_hand += lost.detach() * A[0, c]
    torch.testing.assert_close(map, by_hand, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("axes", [1, 3])
def test_all_layers_lie_where_their_strides_say(axes: int) -> None:
    net, x = Net(axes), images(axes)
    steps = foveal.stages(net, x)
    assert [stage.name for stage in steps] == ["stem", "mid", "end"]
    assert [stage.stride for stage in steps] == [(float(s),) * axes for s in (1, 2, 4)]
    assert [stage.receptive_field for stage in steps] == [(r,) * axes for r in (3, 8, 18)]
    why = foveal.explain(net, x, 2, layer="all")
    assert [map.shape[1:] for map in why.maps.values()] == [
        tuple(side // stride for side in SIZES[axes]) for stride in (1, 2, 4)
    ]
    shown = why.on_input(1, layer="mid")
    by_hand = functional.interpolate(why.maps["mid"][1:, None], SIZES[axes], mode=LINEAR[axes], align_corners=False)
    torch.testing.assert_close(shown, by_hand[0, 0])


def test_cells_without_padding_lie_in_the_middle() -> None:
    net = torch.nn.Sequential(
        torch.nn.Conv1d(1, 4, 9), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    ).eval()  # fmt: skip
    x = torch.randn(1, 1, 30)
    why = foveal.explain(net, x, 1, layer="1")
    assert why.where["1"].offset == (4.5,)
    shown = why.on_input()
    assert torch.equal(shown[4:26], why.map[0]) and not shown[:4].any() and not shown[26:].any()
    assert any("samples 4 to 26 of the network's 30 samples" in note for note in why.notes)


@pytest.mark.parametrize("axes", [1, 3])
def test_results_come_back_whole(axes: int, tmp_path: Path) -> None:
    net, x = Net(axes), images(axes)
    why = foveal.explain(net, x, 2, layer="all", method="hirescam")
    again = foveal.Explanation.load(why.save(tmp_path / "why"))
    assert again.to_dict() == why.to_dict()
    assert all(torch.equal(again.maps[layer], why.maps[layer]) for layer in why.layers)
    assert again.photos[1].values is not None
    assert torch.equal(torch.from_numpy(again.photos[1].values), x[1])
    assert again.overlay(1).tobytes() == why.overlay(1).tobytes()
    fused = why.fused()
    assert fused.map.shape[1:] == SIZES[axes]
    shares = [why.on_input(1, layer=layer) / why.maps[layer][1].abs().max() for layer in why.layers]
    torch.testing.assert_close(fused.map[1], torch.stack(shares).mean(0))


def test_a_signal_changed_later_does_not_change_its_result() -> None:
    net, x = Net(1), images(1)
    why = foveal.explain(net, x, 2)
    before = why.overlay(0).tobytes()
    x.zero_()
    assert why.overlay(0).tobytes() == before


def test_maps_of_other_axes_say_so() -> None:
    why = foveal.Explanation(
        {"c": torch.ones(1, 4, 4)}, foveal.explain(Net(1), images(1, 1), 1).photos, None, None, ("x",), {}, "mine", {},
        "net",
    )  # fmt: skip
    with pytest.raises(ResultError, match="2 axes of space, and the input has 1"):
        why.on_input()
    assert why.overlay().width > 1


@pytest.mark.parametrize("axes", [1, 3])
def test_rise_by_hand(axes: int) -> None:
    from foveal.methods.rise import RandomMasks

    net, x = Net(axes), images(axes, n=1)
    map = foveal.explain(net, x, 2, method="rise:count=30,cells=3").map[0]
    masks = RandomMasks(SIZES[axes], 3, 0.5, 0)(0, 30)
    scores = torch.cat([net(x * mask)[:, 2].detach() for mask in masks])
    by_hand = sum(
        ((y - scores.mean()) * M[0] / 0.5 for y, M in zip(scores, masks, strict=True)), torch.zeros(SIZES[axes])
    )
    torch.testing.assert_close(map, by_hand / 30, atol=1e-5, rtol=1e-3)

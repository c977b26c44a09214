"""Networks that were trained on signals with a bump, and volumes with a ball, at a known place: maps find it."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import foveal
from tests.space.networks import SIZES, Net

SIDE = {1: 3, 3: 3}
METHODS = ("gradcam", "hirescam", "layercam", "occlusion", "scorecam", "inputxgradient", "lrp-epsilon")


def planted(axes: int, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise (n, 1, *space), of class 1 with a bump; where it lies (n, *space)."""
    random = torch.Generator().manual_seed(seed)
    space, side = SIZES[axes], SIDE[axes]
    x = 0.3 * torch.randn(count, 1, *space, generator=random)
    inside = torch.zeros(count, *space, dtype=torch.bool)
    for i in range(count):
        corner = [int(torch.randint(length - side, (), generator=random)) for length in space]
        inside[(i, *(slice(at, at + side) for at in corner))] = True
    label = torch.arange(count) % 2
    x[:, 0] += 2 * inside * label.view(-1, *[1] * axes)
    return x, label, inside


@cache
def trained(axes: int) -> Net:
    """In a few seconds, to tell bumps from noise."""
    net = Net(axes, channels=1, classes=2).train()
    adam = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(60):
        x, label, _ = planted(axes, 16, step + 1)
        adam.zero_grad()
        functional.cross_entropy(net(x), label).backward()
        adam.step()
    return net.eval()


@pytest.mark.parametrize("axes", [1, 3])
def test_the_network_learned_it(axes: int) -> None:
    x, label, _ = planted(axes, 32, 1000)
    assert float((trained(axes)(x).argmax(1) == label).double().mean()) > 0.95


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("method", METHODS)
def test_the_evidence_lies_on_the_bump(method: str, axes: int) -> None:
    x, label, inside = planted(axes, 8, 1001)
    x, inside = x[label == 1], inside[label == 1]
    method = f"{method}:window=4" if method == "occlusion" else method
    why = foveal.explain(trained(axes), x, foveal.Class(1), method=method)
    near = functional.max_pool3d(inside[:, None].double().view(len(x), 1, *[1] * (3 - axes), *SIZES[axes]), 9, 1, 4)
    near = near.view(inside.shape) > 0  # no map is finer than its cells
    hits = [bool(near[i].flatten()[why.on_input(i).flatten().argmax()]) for i in range(len(x))]
    assert sum(hits) >= len(x) - 1


@pytest.mark.parametrize("axes", [1, 3])
def test_hiding_it_costs_the_score_and_elsewhere_does_not(axes: int) -> None:
    x, label, _ = planted(axes, 4, 1002)
    tests = foveal.audit(
        trained(axes), x[label == 1], foveal.Class(1), explanations="hirescam", fill="mean", draws=19, task="classes"
    )
    for test in tests:
        assert test.marked is not None and test.others
        assert test.whole > 0.9
        assert test.marked < 0.1
        assert sorted(test.others)[len(test.others) // 2] > 0.5  # some of them meet the bump, too


@pytest.mark.parametrize("axes", [1, 3])
def test_curves_tell_it_from_chance(axes: int) -> None:
    x, label, _ = planted(axes, 8, 1003)
    setting = foveal.metrics.EvaluationSettings(steps=20, delete="mean", insert="mean")
    table = foveal.measure(
        trained(axes), x[label == 1], foveal.Class(1), explanations="hirescam", metrics=["deletion", "insertion"],
        baseline_maps=["random"], setting=setting, task="classes",
    )  # fmt: skip
    true, chance = table.values["hirescam"], table.values["(random)"]
    assert sum(true["deletion"]) < sum(chance["deletion"]) - 0.1 * len(true["deletion"])
    assert sum(true["insertion"]) > sum(chance["insertion"]) + 0.1 * len(true["insertion"])

"""Averaged gradients: against loops and sums written out, by what they must add up to, and by what they leave alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError, MissingExtra
from foveal.methods.reference import baseline, gap_of
from tests.networks import Planted, architecture, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace

pytest.importorskip("captum", reason="captum is not installed")

THROUGH_CAPTUM = ("smoothgrad", "integratedgradients", "gradientshap")


def picture(n: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, 8, 10, generator=torch.Generator().manual_seed(seed))


def gradient(model: nn.Module, x: Tensor, target: int) -> Tensor:
    leaf = x.clone().requires_grad_()
    (G,) = torch.autograd.grad(model(leaf)[:, target].sum(), leaf)
    return G


def test_integrated_gradients_are_a_riemann_sum() -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 6, 3), nn.SiLU(), nn.Conv2d(6, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    model, x, steps = nn.Sequential(*layers).eval().double(), picture().double(), 400
    for name in ("zero", "mean", "blur"):
        why = foveal.explain(model, x, 1, method=f"integratedgradients:baseline={name}")
        b = baseline(x, name)
        slow = torch.zeros_like(x)
        for step in range(steps):
            slow += (x - b) * gradient(model, b + (step + 0.5) / steps * (x - b), 1) / steps
        assert torch.allclose(why.map[0], slow[0].sum(0), rtol=1e-4, atol=1e-7)
        assert float(why.map.sum()) == pytest.approx(float((model(x) - model(b))[0, 1].detach()), rel=1e-5)


def test_how_far_the_sum_is_off_is_measured_told_and_mended() -> None:
    model, x = architecture("mobilenet_v3_small").double(), torch.randn(2, 3, 64, 64).double()
    model.classifier[-1].weight.data *= 300  # type: ignore[index, union-attr]
    coarse = foveal.explain(model, x, [3, 4], method="integratedgradients:steps=1,tolerance=0.0001")
    assert any("use more steps" in note for note in coarse.notes)
    measured = coarse.measured["input"]
    for i in range(2):
        rise = float((model(x) - model(torch.zeros_like(x)))[i, 3 + i].detach())
        assert measured["gap"][i] == pytest.approx(float(coarse.map[i].sum()) - rise, abs=1e-9)  # type: ignore[index, call-overload]
    fine = foveal.explain(model, x, [3, 4], method="integratedgradients:steps=1,tolerance=0.001,most=4096")
    assert not any("use more steps" in note for note in fine.notes)
    assert all(steps > 1 for steps in fine.measured["input"]["steps"])  # type: ignore[index, call-overload]
    assert all(share <= 0.001 for share in fine.measured["input"]["gap as a share"])  # type: ignore[index, call-overload]


def test_smoothgrad_is_a_loop_over_the_same_noise() -> None:
    model, x = tiny(), picture()
    why = foveal.explain(model, x, 2, method="smoothgrad:samples=10,noise=0.2,seed=5,chunk=4")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        deviation = 0.2 * (x.max() - x.min())
        noise = [torch.normal(0, deviation.expand(count, *x.shape[1:])) for count in (4, 4, 2)]
    slow = sum(gradient(model, x + one[None], 2) for chunk in noise for one in chunk) / 10  # type: ignore[operator]
    assert torch.allclose(why.map[0], slow[0].sum(0), atol=1e-6)


def test_without_noise_smoothgrad_is_the_gradient() -> None:
    model, x = tiny(), picture(2)
    why = foveal.explain(model, x, 0, method="smoothgrad:samples=3,noise=0")
    assert torch.allclose(why.map, gradient(model, x, 0).sum(1), atol=1e-6)


def test_gradient_shap_nears_integrated_gradients() -> None:
    model, x = tiny().double(), picture().double()
    exact = foveal.explain(model, x, 1, method="integratedgradients:steps=200").map
    by_chance = [
        foveal.explain(model, x, 1, method=f"gradientshap:samples={samples},noise=0").map for samples in (8, 2000)
    ]
    rough, close = (float((map - exact).norm() / exact.norm()) for map in by_chance)
    assert close < 0.05 and close < rough


@pytest.mark.parametrize("method", ["smoothgrad", "gradientshap"])
def test_seeds_repeat_and_differ(method: str, no_trace: NoTrace) -> None:
    model, x = tiny(), picture(2)
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr]  # noqa: NPY002
    with no_trace(model):
        one, again, other = (
            foveal.explain(model, x, 1, method=f"{method}:samples=5,seed={seed}").map for seed in (3, 3, 4)
        )
    assert torch.equal(one, again) and not torch.allclose(one, other)
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(one[1], foveal.explain(model, x[1:], 1, method=f"{method}:samples=5,seed=3").map[0])


@pytest.mark.parametrize("method", THROUGH_CAPTUM)
def test_evidence_lies_where_the_color_is(method: str, no_trace: NoTrace) -> None:
    x = torch.zeros(1, 3, 8, 8)
    x[0, 0, 1, 2], x[0, 1, 6, 5] = 2.0, 1.0
    model = Planted().train()
    with no_trace(model):
        map = foveal.explain(model, x, foveal.Margin(0, 1), method=f"{method}").map[0]
    if method != "smoothgrad":
        assert divmod(int(map.argmax()), 8) == (1, 2) and divmod(int(map.argmin()), 8) == (6, 5)
    assert map.shape == (8, 8) and not map.requires_grad


@pytest.mark.parametrize("method", [*THROUGH_CAPTUM, "deeplift"])
def test_a_unit_inside_is_a_decision_like_any_other(method: str) -> None:
    class UpTo(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return self.model.features(x).mean((2, 3))  # type: ignore[no-any-return, operator]

    model, x = tiny(), picture()
    one = foveal.explain(model, x, foveal.Neuron("relu2", 4), method=method)
    assert torch.allclose(one.map, foveal.explain(UpTo(model), x, 4, method=method).map, atol=1e-6)


def test_all_steps_are_told() -> None:
    told: list[tuple[int, int]] = []
    foveal.explain(
        tiny(),
        picture(),
        1,
        method="smoothgrad:samples=20,chunk=5",
        progress=lambda what, done, all: told.append((done, all)),
    )
    assert told[-1] == (20, 20) and len(told) > 1


@pytest.mark.parametrize(
    ("method", "layer", "words"),
    [
        ("smoothgrad", "relu1", "the input only, not relu1"),
        ("deeplift", "relu1", "the input only, not relu1"),
        ("integratedgradients:baseline=black", None, "zero, mean, blur"),
        ("smoothgrad:samples=0", None, "at least one"),
    ],
)
def test_what_cannot_be_had_is_said(method: str, layer: str | None, words: str) -> None:
    with pytest.raises(MethodError, match=words):
        foveal.explain(tiny(), picture(), 1, method=method, layer=layer)


def test_without_captum_the_extra_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtra, match=r"foveal\[captum\]"):
        foveal.explain(tiny(), picture(), 1, method="smoothgrad")


def test_baselines() -> None:
    x = picture()
    assert not baseline(x, "zero").any()
    assert torch.allclose(baseline(x, "mean"), x.mean((2, 3), keepdim=True).expand_as(x))
    blurred = baseline(x, "blur")
    assert blurred.shape == x.shape and float(blurred.std()) < float(x.std()) / 2


def test_a_gap_is_a_share_of_the_difference_or_of_what_there_is() -> None:
    assert gap_of(torch.tensor([[1.0, 1.0]]), 3.0, 1.0) == (0.0, 0.0)
    assert gap_of(torch.tensor([[3.0, 0.0]]), 3.0, 1.0) == (1.0, 0.5)
    gap, share = gap_of(torch.tensor([[50.0, -50.0]]), 1e-9, 0.0)
    assert abs(gap) < 1e-8 and share < 1e-8

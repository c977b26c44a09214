"""Metrics against slow re-derivations, and maps whose values theory gives: constant, random, perfect."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foveal.errors import MethodError
from foveal.metrics import BASELINES, baseline, deletion, insertion, masked
from foveal.metrics.curves import ranks
from foveal.metrics.masked import mask_of


def brightness(weights: Tensor) -> object:
    """A score that is the sum of the picture's cells, weighed: what each cell is worth is known."""
    return lambda x: (x * weights).sum((1, 2, 3))


def slow_deletion(score: object, x: Tensor, map: Tensor, steps: int, fill: Tensor) -> tuple[list[float], list[float]]:
    h, w = map.shape
    cells = sorted(((float(map[i, j]), i, j) for i in range(h) for j in range(w)), reverse=True)
    shares, scores = [], []
    ky, kx = x.shape[2] // h, x.shape[3] // w
    for k in range(steps + 1):
        count = round(k * h * w / steps)
        changed = x.clone()
        for _, i, j in cells[:count]:
            changed[:, :, i * ky : (i + 1) * ky, j * kx : (j + 1) * kx] = fill[
                :, :, i * ky : (i + 1) * ky, j * kx : (j + 1) * kx
            ]
        shares.append(count / (h * w))
        scores.append(float(score(changed)[0]))  # type: ignore[operator]
    return shares, scores


@settings(max_examples=20, deadline=None)
@given(h=st.integers(2, 5), w=st.integers(2, 5), k=st.integers(1, 3), steps=st.integers(1, 30), seed=st.integers(0, 99))
def test_deletion_and_insertion_step_by_step(h: int, w: int, k: int, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    x, map = torch.rand(1, 2, h * k, w * k), torch.randn(h, w)
    score = brightness(torch.rand(1, 2, h * k, w * k))
    for curve, begin, end in (
        (deletion(score, x, map, steps=steps, chunk=3), x, torch.zeros_like(x)),  # type: ignore[arg-type]
        (insertion(score, x, map, steps=steps, chunk=5), baseline(x, "blur"), x),  # type: ignore[arg-type]
    ):
        shares, scores = slow_deletion(score, begin, map, min(steps, h * w), end)
        assert curve.shares.tolist() == pytest.approx(shares, abs=1e-6)
        assert curve.scores.tolist() == pytest.approx(scores, rel=1e-4, abs=1e-4)
        area = sum((b - a) * (p + q) / 2 for a, b, p, q in zip(shares, shares[1:], scores, scores[1:], strict=False))
        assert curve.area == pytest.approx(area, rel=1e-4, abs=1e-4)


def test_perfect_random_and_inverse_maps() -> None:
    """One cell holds the whole score: deletion of the perfect map is half a step, of the worst nearly one."""
    worth = torch.zeros(1, 1, 8, 8)
    worth[0, 0, 2, 5] = 1.0
    x, score = torch.ones(1, 1, 8, 8), brightness(worth)
    perfect = worth[0, 0]
    assert deletion(score, x, perfect).area == pytest.approx(0.5 / 64)  # type: ignore[arg-type]
    assert deletion(score, x, -perfect).area == pytest.approx(1 - 0.5 / 64)  # type: ignore[arg-type]
    assert insertion(score, x, perfect, fill="zero").area == pytest.approx(1 - 0.5 / 64)  # type: ignore[arg-type]
    areas = [deletion(score, x, torch.zeros(8, 8), seed=seed).area for seed in range(400)]  # type: ignore[arg-type]
    assert sum(areas) / 400 == pytest.approx(0.5, abs=0.05)
    assert deletion(score, x, perfect).better == "lower" and insertion(score, x, perfect).better == "higher"  # type: ignore[arg-type]


def test_only_the_order_counts_and_equals_are_shuffled_by_the_seed() -> None:
    map = torch.randn(5, 5)
    assert torch.equal(ranks(map), ranks(map.exp() * 3))
    assert sorted(ranks(map).flatten().tolist()) == list(range(25))
    flat = torch.zeros(5, 5)
    assert torch.equal(ranks(flat, seed=1), ranks(flat, seed=1)) and not torch.equal(ranks(flat, seed=1), ranks(flat))


def test_baselines() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 2, 24, 32) + torch.tensor([1.0, 5.0]).view(1, 2, 1, 1)
    assert set(BASELINES) == {"zero", "mean", "blur", "noise"}
    for kind in BASELINES:
        empty = baseline(x, kind)
        assert empty.shape == x.shape
        for i in range(3):  # each picture on its own
            assert torch.allclose(empty[i], baseline(x[i : i + 1], kind)[0], atol=1e-5)
    constant = torch.full((1, 1, 16, 16), 3.0)
    assert torch.allclose(baseline(constant, "blur"), constant)
    assert torch.allclose(baseline(x, "mean").std((2, 3)), torch.zeros(3, 2), atol=1e-5)
    assert float(baseline(x, "blur").std((2, 3)).mean()) < 0.2
    assert torch.equal(baseline(x, torch.tensor(2.0)), torch.full_like(x, 2)) and torch.equal(
        baseline(x, lambda z: -z), -x
    )
    with pytest.raises(MethodError):
        baseline(x, "gray")  # type: ignore[arg-type]


def test_drop_increase_and_gain() -> None:
    torch.manual_seed(1)
    x = torch.rand(4, 1, 6, 6)
    weights = torch.rand(1, 1, 6, 6) / 36
    score = brightness(weights)
    maps = torch.randn(4, 3, 3)
    maps[3] = 7.0  # a constant map is a mask of zeros
    found = masked(score, x, maps)  # type: ignore[arg-type]
    mask = mask_of(maps, (6, 6))
    for i in range(4):
        y = float((x[i] * weights[0]).sum())
        o = float((x[i] * mask[i] * weights[0]).sum())
        inverse = float((x[i] * (1 - mask[i]) * weights[0]).sum())
        assert float(found.drop[i]) == pytest.approx(max(0.0, y - o) / y, rel=1e-4)
        assert float(found.drop_in_deletion[i]) == pytest.approx((y - inverse) / y, rel=1e-4, abs=1e-6)
        assert float(found.increase[i]) == float(o > y)
    assert float(found.drop[3]) == 1 and float(found.mass[3]) == 0
    ones = masked(score, x, maps, fill=x)  # type: ignore[arg-type]
    assert torch.allclose(ones.drop, torch.zeros(4), atol=1e-6)
    negative = masked(lambda z: 0.5 - score(z), x, maps)  # type: ignore[operator]
    assert bool((negative.gain > 0).all())
    full = masked(lambda z: torch.ones(len(z)), x, maps)
    assert bool(full.gain.isnan().all())


def test_masks_stay_between_zero_and_one_and_each_is_its_own() -> None:
    maps = torch.randn(3, 7, 5) * torch.tensor([1.0, 100, 0.01]).view(3, 1, 1)
    mask = mask_of(maps, (32, 32))
    assert mask.shape == (3, 1, 32, 32) and float(mask.min()) >= 0 and float(mask.max()) <= 1
    assert torch.allclose(mask[1], mask_of(maps[1:2], (32, 32))[0])


def test_a_map_that_is_not_finite_is_refused() -> None:
    def score(z: Tensor) -> Tensor:
        return z.sum((1, 2, 3))

    x = torch.rand(1, 1, 4, 4)
    for wrong in (
        lambda: deletion(score, x, torch.full((2, 2), torch.nan)),
        lambda: deletion(score, torch.rand(2, 1, 4, 4), torch.rand(2, 2)),
        lambda: deletion(score, x, torch.rand(9, 9)),
        lambda: deletion(score, x, torch.rand(2, 2), steps=0),
        lambda: insertion(lambda z: z.sum((2, 3)).repeat(1, 3), x, torch.rand(2, 2)),
        lambda: masked(score, x, torch.rand(2, 2)),
        lambda: masked(score, x, torch.full((1, 2, 2), torch.nan)),
    ):
        with pytest.raises(MethodError):
            wrong()


def test_half_precision_pictures_keep_their_order() -> None:
    x, map = torch.rand(1, 1, 32, 48), torch.rand(32, 48)
    whole = deletion(lambda z: (z == 0).float().mean((1, 2, 3)), x.bfloat16() + 1, map, steps=64)
    assert torch.allclose(whole.scores.double(), whole.shares.double(), atol=1e-6)

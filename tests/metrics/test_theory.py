"""Values that theory gives: additive and constant models, constant, random and perfect maps; ties, sizes, chunks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foveal.errors import MethodError
from foveal.metrics import (
    METRICS,
    Evaluation,
    EvaluationSettings,
    Tally,
    black,
    deletion,
    find_metrics,
    hidden,
    infidelity,
    insertion,
    masked,
    regrid,
    sensitivity,
)
from foveal.metrics.masked import adcc, coherency
from foveal.metrics.shape import area_holding, complexity, gini, log_sparsity, sparsity


def additive(seed: int = 0, side: int = 12) -> tuple[Tensor, Tensor, object]:
    """A picture, what each cell contributes, and the score that is their sum."""
    torch.manual_seed(seed)
    x, w = torch.rand(1, 1, side, side), torch.rand(1, 1, side, side)
    return x, (x * w)[0, 0], lambda z: (z * w).sum((1, 2, 3))


def test_additive_model_with_its_contributions_as_the_map() -> None:
    x, truth, score = additive()
    f = float(score(x)[0])  # type: ignore[operator]
    best, worst = (deletion(score, x, map, fill="zero") for map in (truth, -truth))  # type: ignore[arg-type]
    inserted = insertion(score, x, truth, fill="zero")  # type: ignore[arg-type]
    assert best.correlation == pytest.approx(1, abs=1e-5) and inserted.correlation == pytest.approx(1, abs=1e-5)
    assert best.rank_correlation > 0.999 and best.validity == 1
    assert best.area < f / 2 < worst.area
    assert best.area + worst.area == pytest.approx(f, rel=1e-5)  # order and reversed order
    assert best.area + inserted.area == pytest.approx(f, rel=1e-5)  # the same baseline
    root = deletion(score, x, truth.sqrt())  # type: ignore[arg-type]
    assert root.area == pytest.approx(best.area, rel=1e-6) and 0.9 < root.correlation < 0.99
    alone = deletion(score, x, truth, alone=True)  # type: ignore[arg-type]
    assert alone.correlation == pytest.approx(1, abs=1e-5) and len(alone.scores) == 145
    random = [deletion(score, x, torch.zeros(12, 12), seed=s).area for s in range(60)]  # type: ignore[arg-type]
    assert sum(random) / 60 == pytest.approx(f / 2, rel=0.02)


def test_constant_model() -> None:
    x, map = torch.rand(1, 3, 8, 8), torch.randn(8, 8)
    always = lambda z: torch.full((len(z),), 0.3)  # noqa: E731
    curve = deletion(always, x, map)
    assert curve.area == pytest.approx(0.3) and insertion(always, x, map).area == pytest.approx(0.3)
    assert math.isnan(curve.correlation) and math.isnan(curve.rank_correlation)
    found = masked(always, x, map[None])
    assert float(found.drop) == float(found.increase) == float(found.gain) == float(found.drop_in_deletion) == 0
    tally = Tally(["dc", "ad"])
    tally.update(always, x, map[None])
    summed = tally.compute()
    assert (summed["deletion_correlation"].n, summed["deletion_correlation"].undefined) == (0, 1)
    assert summed["drop"].mean == 0 and summed["drop"].undefined == 0


def test_a_score_that_follows_the_share_has_area_one_half_for_any_map() -> None:
    asked = 0

    def revealed(z: Tensor) -> Tensor:
        nonlocal asked
        asked += len(z)
        return (z != 0).float().mean((1, 2, 3))

    for map in (torch.randn(6, 6), torch.zeros(6, 6)):
        asked = 0
        assert deletion(revealed, torch.ones(1, 1, 12, 12), map, steps=9).area == pytest.approx(0.5, abs=1e-6)
        assert asked == 10


@settings(max_examples=25, deadline=None)
@given(h=st.integers(1, 9), w=st.integers(1, 9), steps=st.integers(1, 100), seed=st.integers(0, 9))
def test_any_size_and_any_number_of_steps(h: int, w: int, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    x, map = torch.rand(1, 2, 19, 23), torch.randn(h, w)
    score = lambda z: z.mean((1, 2, 3))  # noqa: E731
    curve = deletion(score, x, map, steps=steps)
    assert float(curve.shares[0]) == 0 and float(curve.shares[-1]) == 1 and len(curve.scores) == min(steps, h * w) + 1
    assert bool((curve.shares.diff() > 0).all())
    for chunk in (1, 7):
        assert torch.allclose(deletion(score, x, map, steps=steps, chunk=chunk).scores, curve.scores, atol=1e-6)
    assert torch.equal(deletion(score, x, 3 * map, steps=steps).scores, curve.scores)
    integers = (10 * map).round().clamp(0, 255).to(torch.uint8)
    assert torch.equal(
        deletion(score, x, integers, steps=steps).scores, deletion(score, x, integers.float(), steps=steps).scores
    )


def test_ones_as_a_mask_and_a_constant_map() -> None:
    x, _, score = additive()
    ones = masked(score, x, torch.ones(1, 4, 4), scaled=False)  # type: ignore[arg-type]
    assert float(ones.drop) == float(ones.increase) == float(ones.gain.nan_to_num()) == 0 and float(ones.mass) == 1
    flat = masked(score, x, torch.full((1, 4, 4), 7.0))  # type: ignore[arg-type]
    assert float(flat.drop) == 1 and float(flat.drop_in_deletion) == pytest.approx(0, abs=1e-6)
    below = masked(lambda z: z.mean((1, 2, 3)) - 2, x, torch.rand(1, 4, 4))
    assert bool(below.drop.isnan()) and bool(below.drop_in_deletion.isnan())  # a share of less than nothing


def test_sparsity_and_its_kin() -> None:
    one = torch.zeros(6, 5)
    one[2, 3] = 4.0
    flat = torch.full((6, 5), 2.0)
    assert sparsity(one) == pytest.approx(30) and sparsity(flat) == 1 and sparsity(7 * one) == sparsity(one)
    assert (
        log_sparsity(one) == pytest.approx(1) and log_sparsity(flat) == 0 and math.isnan(log_sparsity(torch.ones(1, 1)))
    )
    assert gini(flat) == pytest.approx(0) and gini(one) == pytest.approx(1 - 1 / 30) and math.isnan(gini(-flat))
    assert area_holding(one) == pytest.approx(1 / 30) and area_holding(flat, 0.9) == pytest.approx(0.9)
    assert complexity(flat) == 0 and complexity(one) == pytest.approx(1 / 30)
    ramp = torch.arange(100).view(10, 10).to(torch.uint8)
    assert complexity(ramp) == pytest.approx(0.5) and sparsity(ramp) == pytest.approx(2)


def test_coherency_and_adcc() -> None:
    map = torch.randn(5, 5)
    assert coherency(map, 2 * map + 1) == pytest.approx(1) and coherency(map, -map) == pytest.approx(0)
    assert adcc(0.0, 1.0, 0.0) == pytest.approx(1) and adcc(1.0, 1.0, 0.0) == 0
    assert adcc(0.2, 0.5, 0.25) == pytest.approx(3 / (1 / 0.8 + 1 / 0.5 + 1 / 0.75))


def test_infidelity_of_a_linear_model() -> None:
    """By noise the weights are the right map, by hiding the contributions; three times that is wrong, up to a scale."""
    torch.manual_seed(0)
    x, w = torch.randn(1, 3, 12, 12, dtype=torch.float64), torch.randn(3, 12, 12, dtype=torch.float64)
    score = lambda z: (z * w).sum((1, 2, 3))  # noqa: E731
    right = infidelity(score, x, w, by="noise", samples=20)
    wrong = infidelity(score, x, 3 * w, by="noise", samples=20)
    assert right.unscaled < 1e-12 and wrong.unscaled > 1 and wrong.value < 1e-12
    assert wrong.scale == pytest.approx(1 / 3) and wrong.correlation == pytest.approx(1)
    shown = infidelity(score, x, w * x[0], samples=20, fill="zero")
    assert shown.unscaled < 1e-12
    flat = infidelity(score, x, (w * x[0]).sum(0), samples=20, fill="zero")  # one channel: a third each
    assert flat.value < 1e-12 and flat.scale == pytest.approx(1)
    nothing = infidelity(score, x, torch.zeros(4, 4), samples=20)
    assert nothing.scale == 0 and math.isnan(nothing.correlation)
    assert infidelity(score, x, w, by="noise", samples=20, seed=1).lost.tolist() != right.lost.tolist()


@pytest.mark.parametrize("by", ["hiding", "noise"])
def test_perturbations_do_not_depend_on_how_many_are_asked_at_once(by: str) -> None:
    x, map = torch.rand(1, 3, 10, 10), torch.rand(5, 5)
    score = lambda z: z.pow(2).mean((1, 2, 3))  # noqa: E731
    whole, parts = (infidelity(score, x, map, by=by, samples=9, chunk=chunk) for chunk in (9, 2))  # type: ignore[arg-type]
    assert torch.allclose(whole.expected, parts.expected) and torch.allclose(whole.lost, parts.lost)


def test_what_is_hidden_by_imputation_and_by_a_baseline() -> None:
    x, map = torch.rand(1, 2, 12, 12), torch.randn(6, 6)
    where = torch.zeros(3, 1, 12, 12, dtype=torch.bool)
    where[0, :, :6], where[1, :, 3:5, 3:5], where[2] = True, True, False
    for fill in ("zero", "impute", "mean"):
        found = hidden(x, where, fill)  # type: ignore[arg-type]
        assert found.shape == (3, 2, 12, 12) and torch.equal(found[2], x[0])
        assert torch.equal(found[0, :, 6:], x[0, :, 6:]) and not torch.equal(found[0, :, :6], x[0, :, :6])
    curve = deletion(lambda z: z.std((1, 2, 3)), x, map, fill="impute", steps=4)
    assert float(curve.scores[-1]) < 0.2 * float(curve.scores[0]) and bool(curve.scores.isfinite().all())
    assert black((0.5, 0.4, 0.2), (0.25, 0.2, 0.1)).flatten().tolist() == pytest.approx([-2, -2, -2])


def test_sensitivity_of_a_constant_and_of_a_linear_explainer() -> None:
    x = torch.rand(1, 1, 6, 6) + 0.5
    assert sensitivity(lambda z: torch.ones(len(z), 3, 3), x) == 0
    moved = sensitivity(lambda z: z[:, 0], x, radius=0.1, samples=30)
    assert 0.3 * 0.1 * 6 / float(x.norm()) < moved <= 0.1 * 6 / float(x.norm())
    assert math.isnan(sensitivity(lambda z: torch.zeros(len(z), 3, 3), x))


def test_tallies_add_up_whatever_the_batch() -> None:
    pictures, maps = torch.rand(5, 1, 12, 12), torch.randn(5, 4, 4)
    score = lambda z: z.mean((1, 2, 3)).clamp(0, 1)  # noqa: E731
    names = ["deletion", "IAUC", "road", "gini", "AD", "faithfulness"]
    whole, one, other = (Tally(names, EvaluationSettings(samples=4)) for _ in range(3))
    whole.update(score, pictures, maps)
    one.update(score, pictures[:2], maps[:2])
    other.update([score] * 3, pictures[2:], maps[2:])
    one.merge(other)
    for name in find_metrics(names):
        assert one.values[name] == pytest.approx(whole.values[name], abs=1e-6)
    assert one.compute()["deletion"].n == 5 and len(one.state()["road"]) == 5
    one.reset()
    assert one.compute()["gini"].n == 0
    with pytest.raises(MethodError, match="cannot be added"):
        one.merge(Tally("gini"))


def test_metrics_of_one_trial_share_their_forwards() -> None:
    asked = 0

    def score(z: Tensor) -> Tensor:
        nonlocal asked
        asked += len(z)
        return z.mean((1, 2, 3)).clamp(0, 1)

    evaluation = Evaluation(
        torch.rand(1, 1, 16, 16),
        torch.randn(4, 4),
        score,
        setting=EvaluationSettings(steps=8, shares=(0.5,), samples=5),
    )
    for metric in find_metrics("usual").values():
        metric(evaluation)
    assert asked == 1 + 8 + 8 + 2 + 2 + 5  # the image, which both curves share, and what each experiment asks alone


def test_every_metric_says_what_it_is_and_stays_within_its_limits() -> None:
    torch.manual_seed(2)
    inside = torch.zeros(16, 16, dtype=torch.bool)
    inside[3:9, 4:12] = True
    evaluation = Evaluation(
        torch.rand(1, 1, 16, 16), torch.randn(6, 6), lambda z: z.mean((1, 2, 3)).clamp(0, 1), inside,
        [(4, 3, 12, 9)], lambda z: z[:, 0, ::2, ::2][:, :6, :6],
    )  # fmt: skip
    for metric in METRICS.values():
        value, (low, high) = metric(evaluation), metric.limits
        assert math.isnan(value) or low - 1e-6 <= value <= high + 1e-6, (metric.name, value)
        assert metric.about and metric.source and metric.better in ("lower", "higher", None)
    with pytest.raises(MethodError, match="deletion"):
        find_metrics("deletoin")


def test_one_grid_for_coarse_and_fine_maps() -> None:
    fine = torch.arange(64.0).view(8, 8)
    assert torch.equal(regrid(fine, (4, 4))[0, 0], fine[:2, :2].mean())
    assert regrid(torch.randn(2, 3), (7, 7)).shape == (7, 7) and torch.allclose(
        regrid(torch.ones(2, 3), (9, 9)), torch.ones(9, 9)
    )

"""Curves by some of their steps against curves by all: their areas, the estimated error, and what they ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import foveal
from foveal.api.measure import default_setting
from foveal.attribution.perturbed_score import perturbed_scores
from foveal.attribution.prepare import prepare
from foveal.errors import MethodError
from foveal.metrics import deletion, insertion, regrid
from foveal.metrics.asking import Answers
from foveal.metrics.baseline_maps import edge_map
from foveal.metrics.curves import CurvePath
from foveal.metrics.halving import area_error, gap_errors, to_halve
from foveal.synthetic import Split

SIDE, STEPS, TOLERANCE = 14, 49, 0.005


def scored(values: np.ndarray) -> Callable[[Tensor], Tensor]:
    """A score that is given for each number of cells that are hidden."""
    table = torch.from_numpy(values)
    return lambda x: table[(x == 0).flatten(1).sum(1)]


def curve_of(values: np.ndarray, tolerance: float | None) -> foveal.metrics.Curve:
    map = torch.arange(SIDE * SIDE).view(SIDE, SIDE).flip(0, 1)
    return deletion(scored(values), torch.ones(1, 1, SIDE, SIDE), map, steps=STEPS, tolerance=tolerance)


def family(kind: str, seed: int) -> np.ndarray:
    """Scores by the number of hidden cells, such as networks give them."""
    random, cells = np.random.default_rng(seed), SIDE * SIDE
    share = np.arange(cells + 1) / cells
    if kind == "steep":  # gone within the first per cent
        return np.where(share > random.uniform(0.002, 0.02), 0.0, 1.0)
    if kind == "plateaus":
        edges = np.sort(random.uniform(0, 1, 4))
        return np.sort(random.uniform(0, 1, 5))[::-1][np.searchsorted(edges, share)]
    if kind == "between":  # jumps down at a cell that no coarse step ends with
        at = 4 * random.integers(0, STEPS // 2) * 2 + random.integers(1, 4)
        return np.where(np.arange(cells + 1) >= at, 0.1, 0.9)
    smooth = 1 / (1 + np.exp((share - random.uniform(0.05, 0.6)) * random.uniform(8, 60)))
    if kind == "smooth":
        return smooth
    noise = np.convolve(random.standard_normal(cells + 9), np.ones(9) / 3, "valid")[: cells + 1]
    return np.clip(smooth + 0.5 * noise * smooth * (1 - smooth), 0, 1)


@pytest.mark.parametrize("kind", ["steep", "plateaus", "between", "smooth", "noisy"])
def test_areas_of_some_steps_are_those_of_all_within_the_estimate(kind: str) -> None:
    off, errors, points = [], [], []
    for seed in range(30):
        values = family(kind, seed)
        some, every = curve_of(values, TOLERANCE), curve_of(values, None)
        assert some.error <= TOLERANCE and every.error == 0
        off.append(abs(some.area - every.area))
        errors.append(some.error)
        points.append(len(some.scores))
        shared = torch.isin(every.shares, some.shares)
        assert torch.equal(every.scores[shared], some.scores)  # each of its points is one of the whole curve
    assert max(off) < 0.01
    assert np.mean(np.square(off)) <= np.mean(np.square(errors)) + 1e-12
    assert np.mean(points) < 36 and len(every.scores) == STEPS + 1


def test_what_returns_within_a_gap_is_not_seen_and_costs_at_most_the_gap() -> None:
    values = np.where(np.arange(SIDE * SIDE + 1) == 4 * 13, 0.0, 1.0)
    some, every = curve_of(values, 1e-9), curve_of(values, None)
    assert some.area == pytest.approx(1) and some.error == 0
    assert some.area - every.area == pytest.approx(1 / STEPS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=40), st.floats(1e-4, 0.1))
def test_the_smallest_number_of_gaps_is_halved_and_no_tolerance_ends_with_all(
    scores: list[float], tolerance: float
) -> None:
    n = len(scores) - 1
    points = [*range(0, n, 2), n]
    asked = [scores[point] for point in points]
    errors, middles = gap_errors(points, asked), to_halve(points, asked, tolerance)
    assert area_error(points, asked) == pytest.approx(sum(e * e for e in errors) ** 0.5)
    assert not set(middles) & set(points) and bool(middles) == (area_error(points, asked) > tolerance)
    own = dict(zip(pairwise(points), errors, strict=True))
    halved = [e for (a, b), e in own.items() if (a + b) // 2 in middles and b - a > 1]
    left = [e for (a, b), e in own.items() if (a + b) // 2 not in middles]
    assert not halved or not left or min(halved) >= max(left) - 1e-15
    while more := to_halve(points, [scores[point] for point in points], 0.0):
        points = sorted({*points, *more})
    assert area_error(points, [scores[point] for point in points]) == 0
    hidden = set(range(n + 1)) - set(points)  # where the score did not move, nor beside it
    assert all(scores[h - 1] == scores[h + 1] for h in hidden)


@pytest.mark.parametrize("steps", [1, 2, 7, 48, 49])
def test_correlations_are_over_every_second_step(steps: int) -> None:
    torch.manual_seed(0)
    x, map, worth = torch.rand(1, 1, 14, 14), torch.randn(14, 14), torch.rand(1, 1, 14, 14)

    def score(z: Tensor) -> Tensor:
        return (z * worth).sum((1, 2, 3))

    for run in (deletion, insertion):
        tight, loose = (run(score, x, map, steps=steps, tolerance=t) for t in (1e-6, 10.0))
        assert tight.correlation == pytest.approx(loose.correlation, nan_ok=True)
        assert len(loose.scores) == len(range(0, steps, 2)) + 1 == len(loose.moves) + 1
        assert tight.moves.tolist() == pytest.approx(loose.moves.tolist(), abs=1e-6)
        if steps == 48:  # halves of an even number are equal steps
            even = run(score, x, map, steps=24)
            assert even.moves.tolist() == pytest.approx(loose.moves.tolist(), rel=0.2, abs=0.05)
            assert even.correlation == pytest.approx(loose.correlation, abs=0.02)
    additive = deletion(score, x, (x * worth)[0, 0], steps=steps, fill="zero", tolerance=10.0)
    assert steps < 3 or additive.correlation > 0.99  # moves are per position, also of the odd step


def test_steps_alone_have_no_area() -> None:
    with pytest.raises(MethodError, match="alone"):
        deletion(lambda z: z.sum((1, 2, 3)), torch.rand(1, 1, 4, 4), torch.rand(2, 2), alone=True, tolerance=0.1)


def test_a_trained_network() -> None:
    model = foveal.load_model("demo")
    context = prepare(model, Split("classes", 1, seed=3)[0].image, None)
    grid, own = (28, 28), edge_map(context.x)[0]
    assert default_setting(context.x).tolerance == TOLERANCE
    with perturbed_scores(context) as (question,):
        answers = Answers(question, context.x, whole=question.whole)
        for kind in ("deletion", "insertion"):
            path = partial(CurvePath, context.x, regrid(own, grid), kind, steps=STEPS)  # type: ignore[arg-type]
            some = answers.of(path(tolerance=TOLERANCE).measured())
            asked = question.count
            every = answers.of(path().measured())
            assert abs(some.area - every.area) < 0.01 and some.error <= TOLERANCE
            assert question.count - asked == len(every.scores) - len(some.scores)  # no step is asked twice

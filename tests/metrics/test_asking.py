"""Experiments that ask together: no copy twice, whole chunks, the same results as alone, areas told apart."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError
from foveal.metrics import Evaluation, EvaluationSettings
from foveal.metrics.asking import WHOLE, AlteredCopies, Answers, Experiment
from foveal.metrics.evaluation import CURVES
from foveal.metrics.metric import METRICS
from foveal.metrics.together import evaluated_together
from tests.networks import tiny

EXPERIMENTS = ("deletion", "insertion", "masked", "road", "infidelity")
SETTING = EvaluationSettings(steps=12, grid=(8, 8), shares=(0.3, 0.7), samples=5)


class Asked:
    """A score that remembers what it was asked about."""

    def __init__(self) -> None:
        torch.manual_seed(2)
        self.weights, self.copies, self.sizes = torch.randn(3, 32, 32), list[bytes](), list[int]()

    def __call__(self, x: Tensor) -> Tensor:
        self.copies += [copy.numpy().tobytes() for copy in x]
        self.sizes.append(len(x))
        return torch.tanh((x * self.weights).sum((1, 2, 3)) / 20)


def picture() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(1, 3, 32, 32)


def maps_of(number: int) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(8, 8) for _ in range(number)]


def counting(number: int, first: int, rounds: int = 1) -> Experiment[float]:
    """Asks about as many copies a round, numbers from `first` on; the sum of their scores."""
    total = 0.0
    for k in range(rounds):
        values = [first + k * number + j for j in range(number)]
        scores = yield AlteredCopies(
            values,
            lambda numbers: torch.tensor([values[n] for n in numbers]).float().view(-1, 1, 1, 1),  # noqa: B023
        )
        total += float(scores.sum())
    return total


def test_chunks_are_whole_whoever_asks_and_each_result_comes_as_soon_as_it_can() -> None:
    sizes: list[int] = []

    def ask(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x.flatten()

    answers, told = Answers(ask, torch.zeros(1, 1, 1, 1), chunk=8), list[int]()
    experiments = [counting(5, 0), counting(5, 100, rounds=2), counting(5, 0), counting(3, 200)]
    for number, total in answers.together(experiments):
        told.append(len(sizes))
        assert total == [10, sum(range(100, 110)), 10, 603][number]
    assert sizes == [8, 5, 5]  # 13 of the first round, those of 0 and 2 being the same; then what 1 asks after that
    assert told == [1, 1, 2, 3]


def test_no_copy_is_asked_twice() -> None:
    x, ask = picture(), Asked()
    constant = torch.ones(8, 8)
    answers = Answers(ask, x)
    (first,) = maps_of(1)
    maps = [*maps_of(3), constant, first.exp(), first**3]  # the last two in the order of the first
    trials = [Evaluation(x, map, answers, setting=SETTING) for map in maps]
    assert list(evaluated_together(answers, trials, EXPERIMENTS)) == [0, 1, 2, 3, 4, 5]
    assert len(set(ask.copies)) == len(ask.copies) and x.numpy().tobytes() in ask.copies
    # The image, what stands in its place, and the squares once; of three maps in one order the curves once; of the
    # constant map no mask, and one side of ROAD. ROAD looks at the order of pixels, the mask at the map from 0 to 1.
    assert len(ask.copies) <= 3 + 5 + 4 * 22 + 5 * 2 + 5 * 4 + 2


def test_together_is_as_alone() -> None:
    x = picture()
    answers = Answers(Asked(), x)
    trials = [Evaluation(x, map, answers, setting=SETTING) for map in maps_of(3)]
    list(evaluated_together(answers, trials, EXPERIMENTS))
    for trial, map in zip(trials, maps_of(3), strict=True):
        alone = Evaluation(x, map, Asked(), setting=SETTING)
        for metric in METRICS.values():
            if metric.needs == "network":
                assert metric(trial) == pytest.approx(metric(alone), rel=1e-4, abs=1e-5), metric.name
                assert metric.experiment in EXPERIMENTS


def test_areas_are_told_apart_or_all_steps_are_asked() -> None:
    x = picture()
    setting = EvaluationSettings(steps=49, tolerance=0.05, grid=(16, 16))
    torch.manual_seed(5)
    base = torch.randn(16, 16)
    maps = [base + 0.3 * torch.randn(16, 16) for _ in range(4)]
    ask, answers = Asked(), Answers(Asked(), x)
    trials = [Evaluation(x, map, answers, setting=setting) for map in maps]
    list(evaluated_together(answers, trials, CURVES))
    every = [Evaluation(x, map, ask, setting=EvaluationSettings(steps=49, grid=(16, 16))) for map in maps]
    for kind in CURVES:
        some, whole = ([getattr(trial, kind) for trial in each] for each in (trials, every))
        for i, j in combinations(range(4), 2):
            apart = abs(some[i].area - some[j].area)
            assert apart >= some[i].error + some[j].error
            assert (some[i].area - some[j].area) * (whole[i].area - whole[j].area) > 0
    alone = Evaluation(x, maps[0], Answers(Asked(), x), setting=setting)
    assert len(alone.deletion.scores) < max(len(trial.deletion.scores) for trial in trials)
    blind = [Evaluation(x, map, Answers(Asked(), x), setting=setting) for map in maps]
    list(evaluated_together(blind[0].answers, blind, CURVES, 0))  # baseline maps are not told apart
    assert [len(each.deletion.scores) for each in blind] <= [len(each.deletion.scores) for each in trials]


def test_fills_share_their_empty_image_and_no_other() -> None:
    x, map = picture(), maps_of(1)[0]
    for delete, insert, ends in (("zero", "zero", 1), ("zero", "blur", 2), ("impute", "mean", 1), (2 * x, x + 1, 2)):
        ask = Asked()
        setting = EvaluationSettings(steps=4, grid=(8, 8), delete=delete, insert=insert)  # type: ignore[arg-type]
        trial = Evaluation(x, map, ask, setting=setting)
        assert trial.deletion.scores[0] == trial.insertion.scores[-1]
        assert (trial.deletion.scores[-1] == trial.insertion.scores[0]) == (ends == 1)
        assert sum(ask.sizes) == 1 + ends + 3 + 3 and len(set(ask.copies)) == len(ask.copies)


def test_more_maps_cost_less_than_as_many_images() -> None:
    model: nn.Module = tiny(3)
    x, maps = picture(), torch.stack(maps_of(3))
    setting = EvaluationSettings(steps=7, grid=(8, 8), samples=9)
    one = foveal.measure(model, x, 0, explanations=maps[:1], baseline_maps=False, setting=setting, task="classes")
    three = foveal.measure(
        model, x, 0, explanations={str(k): map[None] for k, map in enumerate(maps)}, baseline_maps=False,
        setting=setting, task="classes",
    )  # fmt: skip
    shared, own = 2 + 9, 6 + 6 + 2 + 10
    assert (one.forwards, three.forwards) == (shared + own, shared + 3 * own)
    assert one.values["map"]["faithfulness"] == pytest.approx(three.values["0"]["faithfulness"], abs=1e-5)


def test_a_score_for_each_copy_of_one_image() -> None:
    with pytest.raises(MethodError, match="one image"):
        Answers(lambda x: x.sum((1, 2, 3)), torch.rand(2, 1, 4, 4))
    with pytest.raises(MethodError, match="one score per copy"):
        _ = Answers(lambda x: x.sum(), torch.rand(1, 1, 4, 4)).whole
    known = Answers(lambda x: x.sum((1, 2, 3)), torch.rand(1, 1, 4, 4), whole=7.0)

    def twice() -> Experiment[float]:
        a, b = yield AlteredCopies((WHOLE, WHOLE), lambda numbers: torch.rand(len(numbers), 1, 4, 4))
        return float(a + b)

    assert known.of(twice()) == 14 and known.whole == 7

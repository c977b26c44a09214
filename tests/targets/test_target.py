"""What is explained: classes, margins, units, anything callable; and errors that tell what to do."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from foveal.errors import TargetError
from foveal.targets import Class, Custom, Margin, ModelOutput, Neuron, as_decision, class_scores
from foveal.targets.class_names import class_index
from foveal.targets.target import Target

LABELS = ("tench, Tinca tinca", "padlock", "combination lock", "Jay", "crow")
SCORES = torch.tensor([[0.0, 3.0, 1.0, -1.0, 2.0], [5.0, 0.0, 1.0, 2.0, 4.0]])


def decide(target: Any, output: Any = SCORES, labels: Any = LABELS) -> Any:
    return as_decision(target).decide(ModelOutput(output, {}, labels, "classes"))


@pytest.mark.parametrize(
    ("target", "index"),
    [
        (None, [1, 0]),
        (3, [3, 3]),
        (-1, [4, 4]),
        ("padlock", [1, 1]),
        ("PADLOCK", [1, 1]),
        ("tinca TINCA", [0, 0]),
        ("combination", [2, 2]),
        ("4", [4, 4]),
        (["jay", 0], [3, 0]),
        (torch.tensor([2, 4]), [2, 4]),
        (Class("crow"), [4, 4]),
    ],
)
def test_classes_as_people_write_them(target: Any, index: list[int]) -> None:
    verdict = decide(target)
    assert verdict.spec["index"] == index
    assert verdict.spec["strongest"] == [i == best for i, best in zip(index, SCORES.argmax(1).tolist(), strict=True)]
    assert torch.equal(verdict.score, SCORES[torch.arange(2), torch.tensor(index)])
    assert torch.allclose(verdict.probability, SCORES.softmax(1)[torch.arange(2), torch.tensor(index)])
    assert verdict.label == tuple(f"{LABELS[i]} ({i})" for i in index)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (5, "0 to 4"),
        ("lock", r"ambiguous: 'padlock' \(1\), 'combination lock' \(2\)"),
        ("padlok", "padlock"),
        ([1, 2, 3], "3 classes were given for 2 images"),
        (Margin(1, "padlock"), "two different"),
        (lambda output: output, r"returned a tensor \(2, 5\)"),
        (lambda output: 3.0, "returned float"),
        (object(), "cannot explain target"),
        (2.5, "cannot explain target"),
        (Class, "cannot explain target"),
    ],
)
def test_targets_that_do_not_fit(target: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        decide(target)


def test_a_label_of_a_model_without_labels() -> None:
    with pytest.raises(TargetError, match="names of the classes are not known"):
        decide("padlock", labels=None)


def test_an_exact_label_wins_over_longer_ones() -> None:
    assert class_index("lock", ("padlock", "lock", "locket"), 3) == 1


def test_probability_as_the_score() -> None:
    verdict = decide(Class(1, of="probability"))
    assert torch.allclose(verdict.score, SCORES.softmax(1)[:, 1])


def test_a_model_that_ends_in_softmax_is_not_softmaxed_again() -> None:
    output = SCORES.softmax(1)
    assert torch.allclose(decide(1, output).probability, output[:, 1])


def test_margins() -> None:
    assert decide(Margin("crow", "jay")).score.tolist() == [3.0, 2.0]
    assert decide(Margin(["crow", "jay"], [0, 0])).score.tolist() == [2.0, -3.0]
    runner_up = decide(Margin())
    assert (runner_up.spec["a"], runner_up.spec["b"]) == ([1, 0], [4, 4])
    assert runner_up.score.tolist() == [1.0, 1.0] and runner_up.spec["strongest"] == [True, True]
    assert decide(Margin("crow", "jay")).rows(0, 1).spec["strongest"] == [False]
    assert decide(Margin(4)).spec["b"] == [1, 0]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_logit_models_have_two_sides(shape: tuple[int, ...]) -> None:
    logit = torch.tensor([-2.0, 0.5, 3.0])
    output = logit.reshape(shape)
    positive, negative, predicted = (
        decide(1, output, ("no", "yes")),
        decide(0, output, ("yes",)),
        decide(None, output, None),
    )
    assert torch.equal(positive.score, logit)
    assert torch.equal(negative.score, -logit)
    assert predicted.spec["index"] == [0, 1, 1]
    assert torch.allclose(positive.probability, logit.sigmoid())
    assert torch.allclose(positive.probability + negative.probability, torch.ones(3))
    assert positive.label[0] == "yes (1)" and negative.label[0] == "not yes (0)" and predicted.label[0] == "class 0"
    assert decide("not yes", output, ("yes",)).label == negative.label
    with pytest.raises(TargetError, match="5 names for one output: give one name"):
        decide(1, output)


def test_units() -> None:
    activation = torch.arange(24.0).reshape(1, 2, 3, 4)
    outcome = ModelOutput(None, {"layer": activation, "fc": torch.tensor([[7.0, 8.0]])})
    assert Neuron("layer", 1, (2, 3)).decide(outcome).score.tolist() == [23.0]
    assert Neuron("layer", 0).decide(outcome).score.tolist() == [5.5]
    assert Neuron("fc", 1).decide(outcome).score.tolist() == [8.0]
    for wrong in (Neuron("layer", 2), Neuron("layer", 0, (3, 0)), Neuron("fc", 0, (0, 0))):
        with pytest.raises(TargetError, match="has no"):
            wrong.decide(outcome)


Pair = namedtuple("Pair", "logits aux")


@dataclass
class ClassifierOutput:
    loss: None
    logits: Tensor


@pytest.mark.parametrize(
    "output",
    [SCORES, {"logits": SCORES}, {"aux": torch.rand(2, 9), "logits": SCORES}, (SCORES, torch.rand(2, 9)),
     Pair(SCORES, 1), ClassifierOutput(None, SCORES), [torch.rand(2, 3, 4, 4), SCORES]],
)  # fmt: skip
def test_class_scores_in_whatever_the_model_returns(output: Any) -> None:
    assert torch.equal(class_scores(output), SCORES)


def test_an_output_without_class_scores() -> None:
    with pytest.raises(TargetError, match=r"a tensor \(1, 5, 8, 8\).*lambda output"):
        class_scores(torch.rand(1, 5, 8, 8))


def test_callables_get_the_output_untouched() -> None:
    output = {"depth": torch.rand(2, 1, 4, 4)}
    verdict = decide(lambda out: out["depth"].mean((1, 2, 3)), output)
    assert torch.equal(verdict.score, output["depth"].mean((1, 2, 3)))
    assert verdict.label == ("<lambda>", "<lambda>")


def test_every_decision_is_a_decision() -> None:
    for one in (Class(), Margin(), Neuron("layer", 0), Custom(lambda out: out)):
        assert isinstance(one, Target)
        assert as_decision(one) is one

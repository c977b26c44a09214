"""What can follow --target."""

from __future__ import annotations

import pytest
import torch

from foveal.errors import UnknownTarget
from foveal.report.answers.decision import spec_text
from foveal.targets import Against, Class, Group, Margin, ModelOutput, Neuron
from foveal.targets.parsing import parse_target

LABELS = ("jay", "crow, raven", "Crow - hooded", "neuron:of sorts")


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        (None, None),
        ("predicted", None),
        ("jay", Class("jay")),
        ("3", Class("3")),
        ("jay - crow", Margin("jay", "crow")),
        ("jay - 3", Margin("jay", "3")),
        ("predicted - crow", Margin(None, "crow")),
        ("jay - runner-up", Margin("jay", None)),
        ("predicted - runner-up", Margin(None, None)),
        ("crow - hooded", Class("crow - hooded")),
        ("blue-footed booby", Class("blue-footed booby")),
        ("jay - rivals", Against("jay")),
        ("predicted - rivals:5", Against(None, 5)),
        ("jay - rivals:2:1", Against("jay", 2, 1.0)),
        ("jay - rivals:crow,3:0.5", Against("jay", None, 0.5, ["crow", "3"])),
        ("jay - rivals:3,", Against("jay", None, 0.6, ["3"])),
        ("Crow - hooded - rivals", Against("Crow - hooded")),
        ("group:1-3", Group([1, 2, 3])),
        ("group:black=*crow*, jay,7", Group(["*crow*", "jay", "7"], "black")),
        ("neuron:layer3:17", Neuron("layer3", 17)),
        ("neuron:features.0[a]#1:17:4,9", Neuron("features.0[a]#1", 17, position=(4, 9))),
        ("neuron:of sorts", Class("neuron:of sorts")),
    ],
)
def test_reads(text: str | None, decision: object) -> None:
    assert parse_target(text, LABELS) == decision


@pytest.mark.parametrize("text", ["neuron:", "neuron:layer3", "neuron:layer3:x", "neuron::1"])
def test_half_a_neuron_is_refused(text: str) -> None:
    with pytest.raises(UnknownTarget, match="neuron:LAYER:CHANNEL"):
        parse_target(text, None)


@pytest.mark.parametrize("text", ["group:", "group:,", "group:=1", "group:3-1", "group:1-99999999"])
def test_half_a_group_is_refused(text: str) -> None:
    with pytest.raises(UnknownTarget, match="Cannot read"):
        parse_target(text, None)


@pytest.mark.parametrize(
    "target",
    [
        Group([1, 2, 0]), Group([0, 2], "fox"), Against(None, 2), Against("jay", 1, 1), Against("jay", rivals=[2]),
        Against(1, None, 0.25, ["jay", 3]),
    ],
)  # fmt: skip
def test_text_that_says_it_again(target: Group | Against) -> None:
    """What the address of the page has for a target leads to the same decision."""
    outcome = ModelOutput(torch.tensor([[0.0, 2.0, 1.0, 4.0]]), {}, LABELS)
    verdict = target.decide(outcome)
    again = parse_target(spec_text(verdict.label[0], verdict.spec), LABELS)
    assert again is not None
    same = again.decide(outcome)
    assert same.label == verdict.label and torch.equal(same.score, verdict.score)


TAKEN = ("predicted", "Runner-Up", "jay", "jay - crow", "neuron:conv:1", "crow", "a - b - c", "b, runner", "c")


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("predicted", Class("predicted")),
        (" predicted ", Class("predicted")),
        ("PREDICTED", Class("PREDICTED")),
        ("runner-up", Class("runner-up")),
        ("jay - crow", Class("jay - crow")),
        ("neuron:conv:1", Class("neuron:conv:1")),
        ("predicted - jay", Margin("predicted", "jay")),
        ("jay - runner-up", Margin("jay", "runner-up")),
        ("jay - jay - crow", Margin("jay", "jay - crow")),
        ("jay - crow - crow", Margin("jay - crow", "crow")),
        ("a - b - c - jay", Margin("a - b - c", "jay")),
        ("jay - neuron:conv:1", Margin("jay", "neuron:conv:1")),
        ("runner", Class("runner")),
        ("neuron:conv:2", Neuron("conv", 2)),
    ],
)
def test_names_of_classes_win_over_words_with_a_meaning(text: str, decision: object) -> None:
    assert parse_target(text, TAKEN) == decision


def test_the_command_line_explains_what_python_does() -> None:
    """The same words, the same class: by name through `as_decision`, or by `parse_target`."""
    from foveal.targets import ModelOutput, as_decision

    scores = torch.randn(1, len(TAKEN), generator=torch.Generator().manual_seed(0))
    for index, label in enumerate(TAKEN):
        python = as_decision(label).decide(ModelOutput(scores, {}, TAKEN))
        parsed = parse_target(label, TAKEN)
        assert parsed is not None and parsed.decide(ModelOutput(scores, {}, TAKEN)).label == python.label
        assert python.spec["index"] == [index]


@pytest.mark.parametrize("channel", ["²", "１", "9" * 5000, "-1", "1_0", "1:2,３"])
def test_channels_are_plain_numbers(channel: str) -> None:
    with pytest.raises(UnknownTarget, match="neuron:LAYER:CHANNEL"):
        parse_target(f"neuron:conv:{channel}", None)

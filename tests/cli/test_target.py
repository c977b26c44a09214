"""What can follow --target."""

from __future__ import annotations

import pytest

from foveal.cli.target import parse_target
from foveal.decisions import Class, Margin, Neuron
from foveal.errors import TargetError

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
        ("neuron:layer3:17", Neuron("layer3", 17)),
        ("neuron:features.0[a]#1:17:4,9", Neuron("features.0[a]#1", 17, position=(4, 9))),
        ("neuron:of sorts", Class("neuron:of sorts")),
    ],
)
def test_reads(text: str | None, decision: object) -> None:
    assert parse_target(text, LABELS) == decision


@pytest.mark.parametrize("text", ["neuron:", "neuron:layer3", "neuron:layer3:x", "neuron:layer3:1:2", "neuron::1"])
def test_half_a_neuron_is_refused(text: str) -> None:
    with pytest.raises(TargetError, match="neuron:LAYER:CHANNEL"):
        parse_target(text, None)

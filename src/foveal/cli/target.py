"""What follows --target."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from foveal.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.decisions import Decision, Neuron

# Stand-ins for classes that only the network's answer can name.
PREDICTED, RUNNER_UP = "predicted", "runner-up"


def parse_target(text: str | None, labels: Sequence[str] | None) -> Decision | None:
    """The decision that `text` asks about; None for the predicted class.

    padlock, 695               a class, by name or number
    "jay - crow"               why jay rather than crow
    "jay - runner-up"          … rather than the strongest other class; "predicted - crow" works too
    neuron:layer3:17           a channel of a layer, averaged
    neuron:layer3:17:4,9       at row 4, column 9
    """
    from foveal.decisions import Class, Margin

    if text is None or text.strip() == PREDICTED:
        return None
    if labels and text.casefold() in (label.casefold() for label in labels):
        return Class(text)
    if text.startswith("neuron:"):
        return _neuron(text)
    a, minus, b = text.partition(" - ")
    if minus:
        return Margin(_operand(a, PREDICTED), _operand(b, RUNNER_UP))
    return Class(text)


def _operand(text: str, absent: str) -> str | None:
    return None if text.strip() == absent else text.strip()


def _neuron(text: str) -> Neuron:
    from foveal.decisions import Neuron

    found = re.fullmatch(r"neuron:(?P<layer>[^:]+):(?P<channel>\d+)(:(?P<row>\d+),(?P<column>\d+))?", text)
    if found is None:
        raise TargetError(
            f"Cannot read the target {text!r}: write neuron:LAYER:CHANNEL or neuron:LAYER:CHANNEL:ROW,COLUMN."
        )
    position = None if found["row"] is None else (int(found["row"]), int(found["column"]))
    return Neuron(found["layer"], int(found["channel"]), position)

"""Targets as text: what follows --target, and what the studio has in its address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from foveal.errors import UnknownTarget
from foveal.targets.classes import Class, Margin
from foveal.targets.dense import parse_dense
from foveal.targets.neuron import Neuron

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.targets.target import Target

# Stand-ins for classes that only the network's answer can name.
PREDICTED, RUNNER_UP = STAND_INS = "predicted", "runner-up"


def parse_target(text: str | None, labels: Sequence[str] | None) -> Target | None:
    """The target that `text` names; None for the predicted class.

    padlock, 695               a class, by name or number
    "jay - crow"               why jay rather than crow
    "jay - runner-up"          … rather than the strongest other class; "predicted - crow" works too
    neuron:layer3:17           a channel of a layer, averaged
    neuron:layer3:17:4,9       at row 4, column 9
    "box 0", "box dog"         of a detector, a box by number, best first, or the best of a class
    "box 0 left"               where its left side is; top, right, bottom and all as well
    "region dog"               of a segmentation, where dog is predicted; "region" is the largest
    "region dog 120,80"        at row 120, column 80 of the output

    A class that is called like one of these is that class, as in Python.
    """
    if text is None or (text.strip() == PREDICTED and not _is_label(text, labels)):
        return None
    if _is_label(text, labels):
        return Class(text.strip())
    if text.startswith("neuron:"):
        return _neuron(text)
    if dense := parse_dense(text):
        return dense
    if pair := _pair(text, labels):
        return Margin(_operand(pair[0], PREDICTED, labels), _operand(pair[1], RUNNER_UP, labels))
    return Class(text)


def _pair(text: str, labels: Sequence[str] | None) -> tuple[str, str] | None:
    """The two sides of a minus; of several, the one between two names of classes."""
    words = text.split(" - ")
    splits = [(" - ".join(words[:k]), " - ".join(words[k:])) for k in range(1, len(words))]
    named = [pair for pair in splits if all(_is_label(side, labels) or side.strip() in STAND_INS for side in pair)]
    return next(iter(named or splits), None)


def _operand(text: str, absent: str, labels: Sequence[str] | None) -> str | None:
    return None if text.strip() == absent and not _is_label(text, labels) else text.strip()


def _is_label(text: str, labels: Sequence[str] | None) -> bool:
    """Whether it is the whole name of a class, or one of its synonyms: names win over words with a meaning here."""
    wanted = text.strip().casefold()
    names = [label.casefold() for label in labels or ()]
    return wanted in names or any(wanted in (part.strip() for part in name.split(",")) for name in names)


def _neuron(text: str) -> Neuron:
    parts = re.fullmatch(
        r"neuron:(?P<layer>[^:]+):(?P<channel>\d{1,9})(:(?P<row>\d{1,9}),(?P<column>\d{1,9}))?", text, re.ASCII
    )
    if parts is None:
        raise UnknownTarget(
            f"Cannot read the target {text!r}: write neuron:LAYER:CHANNEL or neuron:LAYER:CHANNEL:ROW,COLUMN."
        )
    position = None if parts["row"] is None else (int(parts["row"]), int(parts["column"]))
    return Neuron(parts["layer"], int(parts["channel"]), position)

"""Targets as text: what follows --target, and what the studio has in its address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from foveal.errors import UnknownTarget
from foveal.targets.classes import Class, Margin
from foveal.targets.labels import Labels
from foveal.targets.neuron import Neuron
from foveal.targets.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.targets.target import Target

# Stand-ins for classes that only the network's answer can name.
LABELS = "labels"
PREDICTED, RUNNER_UP = STAND_INS = "predicted", "runner-up"


def parse_target(text: str | None, labels: Sequence[str] | None) -> Target | None:
    """The target that `text` names; None for the predicted class.

    padlock, 695               a class, by name or number
    "jay - crow"               why jay rather than crow
    "jay - runner-up"          … rather than the strongest other class; "predicted - crow" works too
    value, "value down"        what raises or lowers the network's value
    "value:age above 30"       why a value is above, or below, another
    neuron:layer3:17           a channel of a layer, averaged
    neuron:layer3:17:4,9       at row 4, column 9

    A class that is called like one of these is that class, as in Python.
    """
    if text is None or (text.strip() == PREDICTED and not _is_label(text, labels)):
        return None
    if _is_label(text, labels):
        return Class(text.strip())
    if text.startswith("neuron:"):
        return _neuron(text)
    if value := _value(text):
        return value
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


def _value(text: str) -> Value | None:
    """The value that is meant; None where the text is about something else."""
    parts = re.fullmatch(
        r"value(:(?P<which>.+?))?(\s+(?P<direction>up|down)|\s+(?P<side>above|below)\s+(?P<reference>\S+))?",
        text.strip(),
    )
    if parts is None:
        return None
    down = "down" in (parts["direction"], {"below": "down"}.get(parts["side"] or ""))
    try:
        reference = None if parts["reference"] is None else float(parts["reference"])
    except ValueError:
        raise UnknownTarget(f"Cannot read the target {text!r}: write a number, value above 2.5.") from None
    return Value(parts["which"], "down" if down else "up", reference)


def parse_labels(text: str | None, labels: Sequence[str] | None) -> Labels | None:
    """`Labels` where the text asks for them, labels or labels:edema,mass; None where it is about something else."""
    if text is None or _is_label(text, labels) or not (text.strip() == LABELS or text.startswith(f"{LABELS}:")):
        return None
    _, colon, names = text.partition(":")
    return Labels([name.strip() for name in names.split(",")] if colon else None)


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

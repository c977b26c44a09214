"""Targets as text: what follows --target, and what the studio has in its address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from foveal.engine.numerals import whole
from foveal.errors import UnknownTarget
from foveal.targets.against import Against
from foveal.targets.classes import Class, Margin, OneClass
from foveal.targets.dense import parse_dense
from foveal.targets.group import Group
from foveal.targets.labels import Labels
from foveal.targets.neuron import Neuron
from foveal.targets.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.targets.target import Target

# Stand-ins for classes that only the network's answer can name.
LABELS = "labels"
PREDICTED, RUNNER_UP = STAND_INS = "predicted", "runner-up"
_RIVALS = re.compile(r"rivals(?::(?P<who>[^:]+))?(?::(?P<strength>\d*\.\d+|\d+\.?))?", re.ASCII)
MOST = 10**6  # classes


def parse_target(text: str | None, labels: Sequence[str] | None) -> Target | None:
    """The target that `text` names; None for the predicted class.

    padlock, 695               a class, by name or number
    "jay - crow"               why jay rather than crow
    "jay - runner-up"          … rather than the strongest other class; "predicted - crow" works too
    value, "value down"        what raises or lowers the network's value
    "value:age above 30"       why a value is above, or below, another
    "jay - rivals"             … rather than its rivals, the three strongest others
    "jay - rivals:5:1"         … five of them, at strength 1
    "jay - rivals:crow,rook"   … these
    group:151-268,*fox*        one of these classes, whichever: numbers, names and patterns of names
    group:dog=151-268          … by a name of its own
    neuron:layer3:17           a channel of a layer, averaged
    neuron:layer3:17:4,9       at row 4, column 9
    "box 0", "box dog"         of a detector, a box by number, best first, or the best of a class
    "box 0 left"               where its left side is; top, right, bottom and all as well
    "region dog"               of a segmentation, where dog is predicted; "region" is the largest
    "region dog 120,80"        at row 120, column 80 of the output (slice, row, column of volumes)

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
    if text.startswith("group:"):
        return _group(text, labels)
    if dense := parse_dense(text):
        return dense
    if pair := _pair(text, labels):
        own = _operand(pair[0], PREDICTED, labels)
        if not _is_label(pair[1], labels) and (rivals := _RIVALS.fullmatch(pair[1].strip())):
            return against(own, rivals["who"], rivals["strength"])
        return Margin(own, _operand(pair[1], RUNNER_UP, labels))
    return Class(text)


def against(
    which: OneClass | Sequence[OneClass] | None, who: str | None = None, strength: str | float | None = None
) -> Against:
    """A class against its rivals.

    Args:
        which: the class; None for the predicted one.
        who: how many rivals, or their names and numbers with commas between: "3", "crow,rook", "5,".
        strength: see `Against`.
    """
    share = Against.strength if strength is None else float(strength)
    number = None if who is None else whole(who)
    if who is None or number is not None:
        return Against(which, number, share)
    return Against(which, None, share, _listed(who))


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _group(text: str, labels: Sequence[str] | None) -> Group:
    name, equals, classes = text.removeprefix("group:").rpartition("=")
    members: list[int | str] = []
    for item in _listed(classes):
        between = re.fullmatch(r"(\d{1,9})-(\d{1,9})", item, re.ASCII)
        if between is None or _is_label(item, labels):
            members.append(item)
        elif int(between[1]) <= int(between[2]) < MOST:
            members += range(int(between[1]), int(between[2]) + 1)
        else:
            raise UnknownTarget(f"Cannot read the classes {item!r}: write the smaller number first, as in 151-268.")
    if not members or (equals and not name.strip()):
        raise UnknownTarget(f"Cannot read the target {text!r}: write group:CLASSES or group:NAME=CLASSES.")
    return Group(members, name.strip() or None)


def _pair(text: str, labels: Sequence[str] | None) -> tuple[str, str] | None:
    """The two sides of a minus; of several, the one between two names of classes."""
    words = text.split(" - ")
    splits = [(" - ".join(words[:k]), " - ".join(words[k:])) for k in range(1, len(words))]

    def known(side: str) -> bool:
        return _is_label(side, labels) or side.strip() in STAND_INS or _RIVALS.fullmatch(side.strip()) is not None

    named = [pair for pair in splits if all(known(side) for side in pair)]
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
        r"neuron:(?P<layer>[^:]+):(?P<channel>\d{1,9})(:(?P<at>\d{1,9}(,\d{1,9}){0,2}))?", text, re.ASCII
    )
    if parts is None:
        raise UnknownTarget(
            f"Cannot read the target {text!r}: write neuron:LAYER:CHANNEL or neuron:LAYER:CHANNEL:ROW,COLUMN."
        )
    position = None if parts["at"] is None else tuple(map(int, parts["at"].split(",")))
    return Neuron(parts["layer"], int(parts["channel"]), position)

"""The scores of all classes as a page shows them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from foveal.report.answers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.targets import Head


class ClassScore(Wire):
    """One class: its number, its name, its score, and its probability in 0..1 where it has one."""

    index: int
    name: str
    score: float | None
    probability: float | None


class ScoresAnswer(Wire):
    """The classes from the highest score to the lowest.

    Attributes:
        kind: what one of them is called: "class", "label", "value" or "output".
        notes: what was assumed about the network's output.
    """

    kind: str
    classes: list[ClassScore]
    notes: list[str]


def scores_answer(head: Head, labels: Sequence[str] | None, notes: Sequence[str] = (), i: int = 0) -> ScoresAnswer:
    """What a network says of image i, highest score first; a score that is not a number is None, and last."""
    embedding = head.task == "embedding"
    values = (head.scores if embedding else head.choices)[i].detach().double().tolist()
    chances = None if embedding else head.probabilities
    probabilities = chances[i].detach().double().tolist() if chances is not None else [None] * len(values)
    names = None if embedding else head.names(labels)
    order = sorted(range(len(values)), key=lambda k: (math.isnan(values[k]), -values[k]))
    return ScoresAnswer(
        kind="output" if embedding else head.kind,
        classes=[
            ClassScore(
                index=k,
                name=names[k] if names else str(k),
                score=values[k] if math.isfinite(values[k]) else None,
                probability=probabilities[k] if math.isfinite(probabilities[k] or 0.0) else None,
            )
            for k in order
        ],
        notes=[*notes, *head.notes(names)],
    )

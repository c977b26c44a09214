"""Decisions: what is being explained. One file a decision; `as_decision` accepts what people write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from foveal.decisions.classes import Class, Margin
from foveal.decisions.comparison import Compared, Comparison, compares
from foveal.decisions.custom import Custom
from foveal.decisions.decision import Decision, NeedsModel, Outcome, Verdict
from foveal.decisions.heads import Head, Task, check_task, class_scores, read_head
from foveal.decisions.labels import no_class, plain
from foveal.decisions.neighbours import Neighbours
from foveal.decisions.neuron import Neuron
from foveal.decisions.prototypes import Prototypes
from foveal.decisions.similar import Similar

Target: TypeAlias = "Decision | int | str | Sequence[int | str] | Tensor | Callable[[Any], Tensor] | None"


def as_decision(target: Target) -> Decision:
    """The decision a person means: None is the predicted class, a number or label a class, a callable itself.

    Raises:
        TargetError: for anything else.
    """
    if isinstance(target, Decision) and not isinstance(target, type):
        return target
    if isinstance(target, type):
        raise no_class(target)
    if callable(target):
        return Custom(target)
    return Class(plain(target))


__all__ = [
    "Class",
    "Compared",
    "Comparison",
    "Custom",
    "Decision",
    "Head",
    "Margin",
    "NeedsModel",
    "Neighbours",
    "Neuron",
    "Outcome",
    "Prototypes",
    "Similar",
    "Target",
    "Task",
    "Verdict",
    "as_decision",
    "check_task",
    "class_scores",
    "compares",
    "read_head",
]

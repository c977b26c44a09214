"""Decisions: what is being explained. One file a decision; `as_decision` accepts what people write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from foveal.engine.task import Task, check_task
from foveal.targets.class_names import no_class, plain
from foveal.targets.classes import Class, Margin
from foveal.targets.comparison import Comparison
from foveal.targets.custom import Custom
from foveal.targets.heads import Head, class_scores, read_head
from foveal.targets.neighbors import Neighbours
from foveal.targets.neuron import Neuron
from foveal.targets.prototypes import Prototypes
from foveal.targets.reference import Compared, compares
from foveal.targets.similar import Similar
from foveal.targets.target import Decision, NeedsModel, Outcome, Verdict

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

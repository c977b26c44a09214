"""Decisions: what is being explained. One file a decision; `as_decision` accepts what people write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from foveal.engine.task import Task, check_task
from foveal.targets.class_names import no_class, plain
from foveal.targets.class_scores import class_scores
from foveal.targets.classes import Class, Margin
from foveal.targets.comparison import Comparison
from foveal.targets.custom import Custom
from foveal.targets.direction import Direction
from foveal.targets.heads import Head, read_head
from foveal.targets.neighbors import Neighbors
from foveal.targets.neuron import Neuron
from foveal.targets.prototypes import Prototypes
from foveal.targets.reference import ReferenceTarget, compares
from foveal.targets.similar import Similar
from foveal.targets.target import ModelOutput, NeedsModel, Target, TargetScore, with_layer_names

TargetLike: TypeAlias = "Target | int | str | Sequence[int | str] | Tensor | Callable[[Any], Tensor] | None"


def as_decision(target: TargetLike) -> Target:
    """The decision a person means: None is the predicted class, a number or label a class, a callable itself.

    Raises:
        TargetError: for anything else.
    """
    if isinstance(target, Target) and not isinstance(target, type):
        return target
    if isinstance(target, type):
        raise no_class(target)
    if callable(target):
        return Custom(target)
    return Class(plain(target))


__all__ = [
    "Class",
    "Comparison",
    "Custom",
    "Direction",
    "Head",
    "Margin",
    "ModelOutput",
    "NeedsModel",
    "Neighbors",
    "Neuron",
    "Prototypes",
    "ReferenceTarget",
    "Similar",
    "Target",
    "TargetLike",
    "TargetScore",
    "Task",
    "as_decision",
    "check_task",
    "class_scores",
    "compares",
    "read_head",
    "with_layer_names",
]

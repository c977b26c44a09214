"""What people write for a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from foveal.targets.class_names import no_class, plain
from foveal.targets.classes import Class
from foveal.targets.custom import Custom
from foveal.targets.target import Target

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

"""The tensors among the arguments or results of an operation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

NUMBERS = frozenset({int, float, bool, type(None)})
"""Most of what is no tensor: told at once."""

SEQUENCES = (list, tuple)


def tensors_in(values: Iterable[Any]) -> list[Tensor]:
    """Those inside of lists, tuples and dictionaries, however deep, in their order."""
    found: list[Tensor] = []
    for value in values:
        if type(value) in NUMBERS:
            continue
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, SEQUENCES):
            found += tensors_in(value)
        elif isinstance(value, dict):
            found += tensors_in(value.values())
    return found

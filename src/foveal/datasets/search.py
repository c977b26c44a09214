"""Which of many pictures it is that kills a process: found by halves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foveal.datasets.plan import Item


def culprit(items: Sequence[Item], kills: Callable[[Sequence[Item]], bool]) -> Item | None:
    """A picture that kills alone, twice; None where no half of those that killed together does.

    Takes about two tries for each halving.
    """
    while len(items) > 1:
        middle = len(items) // 2
        halves = items[:middle], items[middle:]
        guilty = next((half for half in halves if kills(half)), None)
        if guilty is None:
            return None
        items = guilty
    return items[0] if items and kills(items) and kills(items) else None

"""Shards whose processes are killed: begun again, and what kills them searched by halves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from foveal.errors import FovealError, counted

if TYPE_CHECKING:
    from foveal.datasets.plan import Item
    from foveal.datasets.shard import Task

TWICE = 2
SEARCHES = 3
"""Times that a shard may kill its processes without one of its pictures being at fault, before that is an error."""
KILLED = "the process that explained it was killed by it, twice: too large for the memory, or a fault in a library"


@dataclass
class Deaths:
    """How often each shard has ended its process, and how often no picture of it was found guilty."""

    of: Counter[int] = field(default_factory=Counter)
    unexplained: Counter[int] = field(default_factory=Counter)

    def suspicious(self, task: Task) -> bool:
        """Counts that its process has ended; from the second time on it is time to search for what kills it."""
        self.of[task.shard] += 1
        return self.of[task.shard] >= TWICE

    def searched(self, task: Task, kills: Callable[[Sequence[Item]], bool]) -> Task:
        """The suspicious shard, to be begun again without what kills its process.

        Args:
            kills: whether going through some pictures ends a process.

        Raises:
            FovealError: where processes end again and again, and no picture is at fault.
        """
        guilty = culprit([item for item in task.items if item.id not in task.hopeless], kills)
        if guilty is not None:
            return replace(task, hopeless={**task.hopeless, guilty.id: KILLED})
        self.unexplained[task.shard] += 1
        if self.unexplained[task.shard] == SEARCHES:
            first, last = task.items[0], task.items[-1]
            raise FovealError(
                f"The process that explains images {first.id} to {last.id} ({first.uri} to {last.uri}) was killed "
                f"{counted(self.of[task.shard], 'time')}, and no image alone does it: give fewer workers or a smaller "
                "batch, if the memory is what is short."
            )
        return task


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

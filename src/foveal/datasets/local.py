"""The shards one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import torch

from foveal.datasets.parts import Sealed
from foveal.datasets.shard import ShardWork, Task


@dataclass(frozen=True)
class ShardStep:
    """How far a shard is: so many of its pictures are done, and the part once it is sealed."""

    shard: int
    done: int
    sealed: Sealed | None = None


def work_here(work: ShardWork, tasks: Sequence[Task], moved: Callable[[ShardStep], None]) -> Iterator[Sealed]:
    """Each part as it is sealed; `moved` hears of every batch.

    Raises:
        FovealError: where the work cannot begin, or a part cannot be written.
    """
    if not tasks:
        return
    with torch_threads(work.threads):
        explainer = work.make()
        with closing(work.read_ahead(explainer, tasks)) as coming:
            for task in tasks:
                yield work.do(explainer, task, lambda done, task=task: moved(ShardStep(task.shard, done)), coming)  # type: ignore[misc]


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads of torch inside: their number decides the last bits of a sum."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Who works through the shards: this process, several, or the machines of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, cast

from foveal.datasets.local import ShardStep, work_here
from foveal.datasets.parts import Sealed
from foveal.datasets.processes import Workers
from foveal.datasets.shard import EndOfWorkError, ShardWork, Task
from foveal.errors import FovealError


def work_through(
    work: ShardWork, tasks: Sequence[Task], moved: Callable[[int], None], *, workers: int = 0, ray: str | None = None
) -> Generator[Sealed, None, None]:
    """Each part as it is sealed, in any order.

    Args:
        moved: hears how many pictures of these tasks are done, after every batch.
        workers: processes that work at once; 0 is this one alone.
        ray: the address of a Ray cluster, whose CPUs the workers are.

    Raises:
        FovealError: where the work cannot begin, a part cannot be written, or every picture fails.
    """
    if workers < 0:
        raise FovealError(f"Cannot work with workers={workers}: give a whole number from 0 up.")
    sealed, under_way = 0, dict[int, int]()

    def step(now: ShardStep) -> None:
        under_way[now.shard] = now.done
        moved(sealed + sum(under_way.values()))

    try:
        with closing(cast("Any", _executed(work, tasks, workers, ray, step))) as each:
            for part in each:
                under_way.pop(part.shard, None)
                sealed += part.rows
                moved(sealed + sum(under_way.values()))
                yield part
    except EndOfWorkError as end:
        raise end.args[0] from end


def _executed(
    work: ShardWork, tasks: Sequence[Task], workers: int, ray: str | None, moved: Callable[[ShardStep], None]
) -> Iterator[Sealed]:
    if ray is not None:
        from foveal.datasets.on_ray import RayWorkers

        return RayWorkers(work, max(1, workers), moved, ray).each(tasks)
    return Workers(work, workers, moved).each(tasks) if workers else work_here(work, tasks, moved)

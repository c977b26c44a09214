"""The shards on many machines, by Ray: actors that load the model once, and take one shard after the other.

Ray decides where actors run and says when one is gone, and nothing else: pictures and maps never enter its object
store. The folder of the run and the pictures must have the same paths on every machine.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from foveal.datasets.deaths import Deaths
from foveal.datasets.local import ShardStep, torch_threads
from foveal.datasets.parts import Sealed
from foveal.datasets.processes import pickled, unpickled
from foveal.datasets.shard import Explainer, ShardWork, Task
from foveal.errors import FovealError, MissingExtra

if TYPE_CHECKING:
    from foveal.datasets.plan import Item

LOCAL = "local"
STORE = 100 * 2**20
"""Bytes of a local object store: it holds the network, if anything."""
PATIENCE = 300.0
"""Seconds until the first actor must be ready."""
SECOND = 1.0


class Shards:
    """What an actor is: a network, and the shards that come."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @cached_property
    def loaded(self) -> tuple[ShardWork, Explainer]:
        """The work, and the network; errors in here reach the driver, those of `__init__` would not."""
        work = unpickled(self._content)
        with torch_threads(work.threads):
            return work, work.make()

    def ready(self) -> bool:
        """Answers once the network is loaded."""
        return bool(self.loaded)

    def do(self, content: bytes) -> Sealed:
        """The part of a shard."""
        work, explainer = self.loaded
        with torch_threads(work.threads):
            return work.do(explainer, pickle.loads(content))

    def survive(self, content: bytes) -> bool:
        """Answers unless going through a shard ends the process."""
        work, explainer = self.loaded
        with torch_threads(work.threads):
            return bool(work.rows(explainer, pickle.loads(content)))


class RayWorkers:
    """So many actors, each with one logical CPU, but no more than the cluster has.

    Args:
        address: of a cluster, as `ray.init` takes it; "local" starts one on this machine for the time of the work.
        moved: hears of every part.
    """

    def __init__(self, work: ShardWork, count: int, moved: Callable[[ShardStep], None], address: str) -> None:
        self._content, self._count, self._moved, self._address = pickled(work), count, moved, address
        self._deaths = Deaths()

    def each(self, tasks: Sequence[Task]) -> Iterator[Sealed]:
        """Each part as it is sealed, in any order.

        Raises:
            MissingExtra: without Ray.
            FovealError: where the work cannot begin, a part cannot be written, or actors end for no reason.
        """
        if not tasks:
            return
        self._ray, own = joined(self._address, self._count)
        try:
            yield from self._worked(deque(tasks))
        finally:
            if own:
                self._ray.shutdown()

    def _worked(self, waiting: deque[Task]) -> Iterator[Sealed]:
        ray, busy = self._ray, dict[Any, tuple[Any, Task]]()
        self._sent = ray.put(self._content)
        count = min(self._count, len(waiting), max(1, int(ray.cluster_resources().get("CPU", 1))))
        idle = [self._started() for _ in range(count)]
        self._first_is_ready(idle)
        try:
            while waiting or busy:
                while waiting and idle:
                    self._give(idle.pop(), waiting.popleft(), busy)
                for ref in ray.wait([*busy], num_returns=1, timeout=SECOND)[0]:
                    actor, task = busy.pop(ref)
                    try:
                        sealed = _got(ray, ref)
                    except ray.exceptions.RayActorError:
                        waiting.appendleft(self._deaths.again(task, self._kills))
                        idle.append(self._started())
                        continue
                    idle.append(actor)
                    self._moved(ShardStep(task.shard, sealed.rows))
                    yield sealed
        finally:
            for actor in [*idle, *(actor for actor, _ in busy.values())]:
                ray.kill(actor)

    def _started(self) -> Any:
        return self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(Shards).remote(self._sent)

    def _give(self, actor: Any, task: Task, busy: dict[Any, tuple[Any, Task]]) -> None:
        busy[actor.do.remote(pickle.dumps(task))] = (actor, task)

    def _first_is_ready(self, actors: Sequence[Any]) -> None:
        """Actors that find no CPU wait for ever."""
        refs, until = [actor.ready.remote() for actor in actors], time.monotonic() + PATIENCE
        while time.monotonic() < until:
            ready, _ = self._ray.wait(refs, num_returns=1, timeout=SECOND)
            if ready:
                try:
                    _got(self._ray, ready[0])
                except self._ray.exceptions.RayActorError as error:
                    raise FovealError(
                        f"An actor ended before it had loaded the network: {_first_line(error)}."
                    ) from error
                return
        raise FovealError(
            f"Ray started no actor in {PATIENCE:.0f} s: the cluster has no free CPU, or cannot load the network."
        )

    def _kills(self, items: Sequence[Item]) -> bool:
        actor = self._started()
        try:
            return not _got(self._ray, actor.survive.remote(pickle.dumps(Task(0, items))))
        except self._ray.exceptions.RayActorError:
            return True
        finally:
            with suppress(ValueError):
                self._ray.kill(actor)


def joined(address: str, count: int) -> tuple[Any, bool]:
    """Ray, connected to this cluster and no other, and whether that was done here; a connection of the caller stays.

    A local cluster has so many logical CPUs, and nothing of it listens beyond this machine.

    Raises:
        MissingExtra: where it is not installed.
        FovealError: where there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address == LOCAL:  # Ray takes loopback addresses for what does not reach other machines, and here none is to
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise MissingExtra("many machines need Ray, which is not installed: pip install 'foveal[ray]'") from error
    if ray.is_initialized():
        return ray, False
    own: dict[str, Any] = {
        "num_cpus": count, "num_gpus": 0, "include_dashboard": False, "object_store_memory": STORE
    }  # fmt: skip
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **(own if address == LOCAL else {}))
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise FovealError(f"Cannot reach a Ray cluster at {address!r}: {_first_line(error)}.") from error
    return ray, True


def _got(ray: Any, ref: Any) -> Any:
    """What came out; errors of the work as they were raised."""
    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else error from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")

"""The shards on many machines, by Ray: actors that load the model once, and take one shard after the other.

Ray decides where actors run and says when one is gone, and nothing else: pictures and maps never enter its object
store. The folder of the run and the pictures must have the same paths on every machine.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from foveal.datasets.deaths import Deaths
from foveal.datasets.local import ShardStep, torch_threads
from foveal.datasets.parts import Sealed
from foveal.datasets.processes import pickled, unpickled
from foveal.datasets.shard import Explainer, ShardWork, Task
from foveal.errors import FovealError, MissingExtra, counted

if TYPE_CHECKING:
    from foveal.datasets.plan import Item

LOCAL = "local"
STORE = 100 * 2**20
"""Bytes of a local object store: it holds the network, if anything."""
PATIENCE = 300.0
"""Seconds for which no actor may be ready."""
SECOND = 1.0
HEAD_PATIENCE = 20.0
"""Seconds for which the head of a cluster may not answer; Ray itself waits for a minute."""
JOINING = 90.0
"""Seconds that joining a cluster may take."""
STILLBORN = 3
"""Actors that may end one after the other while they load the network, before that is an error."""


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
        self._deaths, self._stillborn = Deaths(), 0
        self._trial: Any = None

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
            self._head = _Head(self._ray)
            yield from self._worked(deque(tasks))
        finally:
            if own:
                self._ray.shutdown()

    def _worked(self, waiting: deque[Task]) -> Iterator[Sealed]:
        """Shards that kill their actors are searched once the others are done, when CPUs are free for it."""
        self._sent = self._ray.put(self._content)
        while waiting:
            suspects: list[Task] = []
            yield from self._shared(waiting, suspects)
            waiting.extend(self._deaths.searched(task, self._kills) for task in suspects)
            if self._trial:
                self._ray.kill(self._trial)
                self._trial = None

    def _shared(self, waiting: deque[Task], suspects: list[Task]) -> Iterator[Sealed]:
        """The parts of what is waiting, by as many actors as there is room for; none that has not begun is given a
        shard, because one for which the cluster has lost the CPU waits for ever."""
        ray, actors = self._ray, _Actors()
        count = min(self._count, len(waiting), max(1, int(ray.cluster_resources().get("CPU", 1))))
        for _ in range(count):
            self._start(actors)
        try:
            while waiting or actors.busy:
                while waiting and actors.idle:
                    self._give(actors, waiting.popleft())
                self._head.check()
                if actors.hopeless:
                    raise FovealError(
                        f"Ray started no actor in {PATIENCE:.0f} s: the cluster has no free CPU, or cannot load the "
                        "network."
                    )
                for ref in ray.wait([*actors.busy, *actors.starting], num_returns=1, timeout=SECOND)[0]:
                    if ref in actors.starting:
                        self._ready(actors, ref)
                    elif sealed := self._part(actors, ref, waiting, suspects):
                        self._moved(ShardStep(sealed.shard, sealed.rows))
                        yield sealed
        finally:
            self._head.check()
            for actor in actors.all:
                ray.kill(actor)

    def _start(self, actors: _Actors) -> None:
        actor = self._started()
        actors.starting[actor.ready.remote()] = actor

    def _started(self) -> Any:
        return self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(Shards).remote(self._sent)

    def _give(self, actors: _Actors, task: Task) -> None:
        actor = actors.idle.pop()
        actors.busy[actor.do.remote(pickle.dumps(task))] = (actor, task)

    def _ready(self, actors: _Actors, ref: Any) -> None:
        """An actor has loaded the network, or ended before."""
        actor = actors.starting.pop(ref)
        try:
            _got(self._ray, ref)
        except self._ray.exceptions.RayActorError as error:
            self._stillborn += 1
            if self._stillborn > STILLBORN:
                raise FovealError(
                    f"{counted(self._stillborn, 'actor')} ended before they had loaded the network: "
                    f"{_first_line(error)}."
                ) from error
            self._start(actors)
        else:
            self._stillborn = 0
            actors.idle.append(actor)

    def _part(self, actors: _Actors, ref: Any, waiting: deque[Task], suspects: list[Task]) -> Sealed | None:
        """The part that an actor has sealed; None where it has ended, and its shard must be begun again."""
        actor, task = actors.busy.pop(ref)
        try:
            sealed: Sealed = _got(self._ray, ref)
        except self._ray.exceptions.RayActorError:
            self._ray.kill(actor)  # it may only be out of reach
            (suspects if self._deaths.suspicious(task) else waiting).append(task)
            self._start(actors)
            return None
        actors.idle.append(actor)
        return sealed

    def _kills(self, items: Sequence[Item]) -> bool:
        """Whether going through these pictures ends an actor; one that survives tries the next, too."""
        actor, self._trial = self._trial or self._started(), None
        try:
            _got(self._ray, actor.survive.remote(pickle.dumps(Task(0, items))))
        except self._ray.exceptions.RayActorError:
            self._ray.kill(actor)
            return True
        self._trial = actor
        return False


@dataclass
class _Actors:
    """Actors by what they do, and since when none of them was of use."""

    starting: dict[Any, Any] = field(default_factory=dict)
    busy: dict[Any, tuple[Any, Task]] = field(default_factory=dict)
    idle: list[Any] = field(default_factory=list)
    useless: float = field(default_factory=time.monotonic)

    @property
    def all(self) -> list[Any]:
        """Every one of them."""
        return [*self.idle, *self.starting.values(), *(actor for actor, _ in self.busy.values())]

    @property
    def hopeless(self) -> bool:
        """Whether all have been starting for too long."""
        if self.busy or self.idle:
            self.useless = time.monotonic()
        return time.monotonic() - self.useless > PATIENCE


class _Head:
    """The head of a cluster, which answers at its address as long as there is a cluster.

    Where it is gone, Ray ends the driver's process after a minute, with no chance to say what is to be done.
    """

    def __init__(self, ray: Any) -> None:
        host, _, port = str(ray.get_runtime_context().gcs_address).rpartition(":")
        self._place = (host.strip("[]"), int(port))
        self._asked = self._answered = time.monotonic()

    def check(self) -> None:
        """Raises FovealError where it has not answered for a while."""
        now = time.monotonic()
        if now - self._asked < SECOND:
            return
        try:
            with socket.create_connection(self._place, timeout=SECOND):
                self._answered = now
        except OSError as error:
            if now - self._answered > HEAD_PATIENCE:
                raise FovealError(
                    f"The head of the Ray cluster at {self._place[0]}:{self._place[1]} is gone: start the cluster "
                    "again; the same call then goes on with the parts that are done."
                ) from error
        self._asked = time.monotonic()


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
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == LOCAL:  # whose processes end with the thread that starts them
            ray.init(LOCAL, num_cpus=count, num_gpus=0, include_dashboard=False, object_store_memory=STORE, **quiet)
        else:
            begun(ray, JOINING, address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise FovealError(f"Cannot reach a Ray cluster at {address!r}: {_first_line(error)}.") from error
    return ray, True


def begun(ray: Any, seconds: float, **settings: Any) -> None:
    """`ray.init` in a thread of its own: where the head ends just then, it waits for ever.

    Raises:
        ConnectionError: where it takes longer.
    """
    failed: list[BaseException] = []

    def begin() -> None:
        try:
            ray.init(**settings)
        except BaseException as error:  # noqa: BLE001 (is raised below)
            failed.append(error)

    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise ConnectionError(f"it has not answered for {seconds:.0f} s")
    if failed:
        raise failed[0]


def _got(ray: Any, ref: Any) -> Any:
    """What came out; errors of the work as they were raised."""
    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else error from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")

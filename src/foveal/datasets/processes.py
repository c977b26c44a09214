"""The shards in several processes at once: each loads its model once, and takes one shard after the other.

    driver ──shard──▶ worker ──part──▶ folder
           ◀──rows, sealed──

A worker that ends in the middle of a shard is replaced, and the shard begun again. If that kills the next one, too, the
pictures that do it are searched by halves, and become rows with an error. Workers end with the process that started
them, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Literal

from foveal.datasets.deaths import Deaths
from foveal.datasets.local import ShardStep, torch_threads
from foveal.datasets.parts import Sealed
from foveal.datasets.shard import ShardWork, Task
from foveal.errors import FovealError, counted
from foveal.storage.reading import DAMAGE, reason

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from foveal.datasets.plan import Item

STILLBORN = 3
"""Workers that may be killed while they load the network, before that is an error."""
GUARD = (
    "a script that starts workers must do so below `if __name__ == '__main__':`, because each of them imports it; "
    "in a notebook, networks must come from a module"
)

_SPAWN = multiprocessing.get_context("spawn")


class WorkerEndedError(Exception):
    """A worker has ended in the middle of its work."""


@dataclass
class Worker:
    """A process, the end of the pipe to it, and whether it has loaded what it needs."""

    process: SpawnProcess
    pipe: Connection
    ready: bool = False

    def ask(self, kind: Literal["part", "try"], task: Task) -> None:
        """Give it a shard to make the part of, or only to go through."""
        with suppress(OSError):  # it is dead: the answer will say so
            self.pipe.send((kind, task))

    def hear(self) -> tuple[str, Any]:
        """What it says next. Raises WorkerEndedError where it says nothing more, and what went wrong there."""
        try:
            kind, said = self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            if not self.ready and (self.process.exitcode or 0) >= 0:  # nobody killed it
                raise FovealError(f"A worker ended before it had loaded the network: {GUARD}.") from error
            raise WorkerEndedError from error
        if kind == "error":
            raise said
        self.ready = True
        return kind, said

    def end(self) -> None:
        """Whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@dataclass
class _Busy:
    worker: Worker
    task: Task


@dataclass
class Workers:
    """As many processes as there are shards to do, but no more than `count`.

    Args:
        work: must go through pickle.
        moved: hears how far each shard is.
    """

    work: ShardWork
    count: int
    moved: Callable[[ShardStep], None]
    _deaths: Deaths = field(default_factory=Deaths)
    _stillborn: int = 0

    def each(self, tasks: Sequence[Task]) -> Iterator[Sealed]:
        """Each part as it is sealed, in any order.

        Raises:
            FovealError: where the work cannot begin, a part cannot be written, or workers end for no reason.
        """
        content = pickled(self.work)
        waiting, busy = deque(tasks), dict[Any, _Busy]()
        try:
            while waiting or busy:
                while waiting and len(busy) < self.count:
                    self._give(_started(content), waiting.popleft(), busy)
                for pipe in connection.wait(list(busy)):
                    yield from self._heard(pipe, content, waiting, busy)
        finally:
            for one in busy.values():
                one.worker.end()

    def _give(self, worker: Worker, task: Task, busy: dict[Any, _Busy]) -> None:
        busy[worker.pipe] = _Busy(worker, task)
        worker.ask("part", task)

    def _heard(self, pipe: Any, content: bytes, waiting: deque[Task], busy: dict[Any, _Busy]) -> Iterator[Sealed]:
        now = busy[pipe]
        try:
            kind, said = now.worker.hear()
        except WorkerEndedError:
            del busy[pipe]
            now.worker.end()
            self.moved(ShardStep(now.task.shard, 0))
            waiting.appendleft(self._again(now.task, content) if now.worker.ready else self._unbegun(now.task))
            return
        if kind == "rows":
            self.moved(ShardStep(now.task.shard, said))
        elif kind == "sealed":
            if waiting:
                self._give(now.worker, waiting.popleft(), busy)
            else:
                del busy[pipe]
                now.worker.end()
            yield said

    def _unbegun(self, task: Task) -> Task:
        """The shard of a worker that was killed while it loaded the network."""
        self._stillborn += 1
        if self._stillborn > STILLBORN:
            raise FovealError(
                f"{counted(self._stillborn, 'worker')} were killed while they loaded the network: give fewer workers, "
                "if the memory is what is short."
            )
        return task

    def _again(self, task: Task, content: bytes) -> Task:
        if not self._deaths.suspicious(task):
            return task
        with _Tries(content, task.shard) as tries:
            return self._deaths.searched(task, tries.kill)


class _Tries:
    """Pictures of a shard that workers go through to see whether they survive; one that does tries the next, too."""

    def __init__(self, content: bytes, shard: int) -> None:
        self._content, self._shard = content, shard
        self._worker: Worker | None = None

    def __enter__(self) -> _Tries:
        return self

    def __exit__(self, *error: object) -> None:
        if self._worker:
            self._worker.end()

    def kill(self, items: Sequence[Item]) -> bool:
        """Whether going through these pictures ends a worker."""
        self._worker = self._worker or _started(self._content)
        self._worker.ask("try", Task(self._shard, items))
        try:
            while self._worker.hear()[0] != "tried":
                pass
        except WorkerEndedError:
            loaded = self._worker.ready
            self._worker.end()
            self._worker = None
            return loaded
        return False


def pickled(work: ShardWork) -> bytes:
    """The work as bytes that other processes read. Raises FovealError where it cannot travel."""
    try:
        return pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise FovealError(
            f"Cannot give this work to other processes ({str(error).splitlines()[0][:160]}): name the network as "
            "`load_model` takes it, keep methods and targets free of lambdas, or do without workers."
        ) from error


def _started(content: bytes) -> Worker:
    """A worker; it says when it has loaded what it needs."""
    ours, theirs = _SPAWN.Pipe()
    # The work is no argument: Python waits for ever for a process that is killed before it has read large ones.
    process = _SPAWN.Process(target=_serve, args=(theirs,), name="foveal-worker", daemon=True)
    with _interrupts_blocked():
        process.start()
    theirs.close()
    with suppress(OSError):  # it is dead: the answer will say so
        ours.send_bytes(content)
    return Worker(process, ours)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """What is started inside never sees Ctrl-C: the driver alone decides what becomes of its workers."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection) -> None:
    """What a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout = sys.stderr  # that of the driver is for results
    with suppress(EOFError, BrokenPipeError):
        try:
            _work(pipe, unpickled(pipe.recv_bytes()))
        except (EOFError, BrokenPipeError):  # the driver has ended
            raise
        except Exception as error:  # noqa: BLE001 - the driver raises it
            pipe.send(("error", _portable(error)))


def _work(pipe: Connection, work: ShardWork) -> None:
    with torch_threads(work.threads):
        explainer = work.make()
        pipe.send(("ready", None))
        while True:
            kind, task = pipe.recv()
            if kind == "try":
                work.rows(explainer, task)
                pipe.send(("tried", None))
            else:
                pipe.send(("sealed", work.do(explainer, task, lambda done: pipe.send(("rows", done)))))


def unpickled(content: bytes) -> ShardWork:
    """The work that was sent. Raises FovealError where this process does not know what it is made of."""
    try:
        work: ShardWork = pickle.loads(content)
    except (*DAMAGE, ImportError) as error:
        raise FovealError(f"A worker cannot load the network ({reason(error)}): {GUARD}.") from error
    return work


def _portable(error: Exception) -> Exception:
    """An error that goes through the pipe."""
    try:
        pickle.loads(pickle.dumps(error))
    except (*DAMAGE, ImportError):
        return FovealError(f"A worker failed: {type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

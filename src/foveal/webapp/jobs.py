"""Work in threads, one a model: what is asked twice is done once, and what nobody waits for stops.

ticket = jobs.start(ask, query)         many tickets can wait for one job
jobs.events(ticket)                     progress, then the answer or an error
jobs.cancel(ticket)                     the job stops when its last ticket is gone
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from foveal.errors import FovealError
from foveal.report.answers.wire import Wire
from foveal.storage.reading import reason
from foveal.webapp.ask import Canceled

if TYPE_CHECKING:
    from foveal.webapp.ask import Ask, Query
    from foveal.webapp.studio import Studio

MOST_WAITING = 64
FORGOTTEN = 60.0  # seconds after which a ticket that nobody listens to is gone
BETWEEN = 0.05  # seconds between two events of progress
UNEXPECTED = "foveal failed on this, which is a fault of foveal: "


class Busy(FovealError):
    """More work is waiting than is kept."""


class Event(Wire):
    """What is heard of a job: `progress` with what, done, total and the seconds left (None at first); then one of
    `answer`, `error` with a sentence, `canceled`."""

    kind: Literal["progress", "answer", "error", "canceled"]
    what: str = ""
    done: int = 0
    total: int = 0
    left: float | None = None
    sentence: str = ""


@dataclass(eq=False)
class Job:
    """One answer in the making."""

    key: str
    tickets: set[str] = field(default_factory=set)
    state: Event = field(default_factory=lambda: Event(kind="progress"))
    answer: bytes | None = None
    version: int = 0
    started: float = 0.0
    heard: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        return self.state.kind != "progress"


class Jobs:
    """The work of one studio; made inside of a running event loop."""

    def __init__(self, studio: Studio) -> None:
        self._studio, self.loop = studio, asyncio.get_running_loop()
        self._by_key: dict[str, Job] = {}
        self._by_ticket: dict[str, tuple[Job, float]] = {}
        self._workers: dict[str, ThreadPoolExecutor] = {}
        self._waiting = 0

    def start(self, ask: Ask, query: Query) -> str:
        """A ticket for the answer to a query; a job that makes it already is shared.

        Raises:
            Busy: when too much work is waiting.
        """
        self.forget()
        key, ticket = f"{ask.name} {query.model_dump_json()}", secrets.token_urlsafe(12)
        job = self._by_key.get(key)
        if job is None or job.over or not job.tickets:
            kept = self._studio.answers.get(key) if ask.lasting else None
            job = Job(key, {ticket})
            if kept is not None:
                job.answer, job.state = kept, Event(kind="answer")
                job.changed.set()
            else:
                self._work(job, ask, query)
        job.tickets.add(ticket)
        self._by_ticket[ticket] = (job, time.monotonic())
        return ticket

    def job(self, ticket: str) -> Job | None:
        """The job of a ticket, or None where there is no such ticket (any more)."""
        entry = self._by_ticket.get(ticket)
        if entry is None:
            return None
        self._by_ticket[ticket] = (entry[0], time.monotonic())
        return entry[0]

    async def wait(self, ticket: str, seconds: float) -> Job | None:
        """The job, when it is over or the time is."""
        job = self.job(ticket)
        until = time.monotonic() + seconds
        while job and not job.over and (left := until - time.monotonic()) > 0:
            await self._next(job, left)
        return job

    async def events(self, ticket: str) -> AsyncIterator[Event]:
        """What happens to the job from now on; the last event is its end."""
        job = self.job(ticket)
        heard = -1
        while job:
            if job.version != heard:
                heard = job.version
                yield job.state
                if job.over:
                    return
            if self.job(ticket) is None:
                yield Event(kind="canceled")
                return
            await self._next(job, 5.0)

    def cancel(self, ticket: str) -> bool:
        """Give a ticket back; False where there is no such ticket. Work that nobody waits for stops by itself."""
        entry = self._by_ticket.pop(ticket, None)
        if entry is None:
            return False
        entry[0].tickets.discard(ticket)
        entry[0].changed.set()
        return True

    def close(self) -> None:
        """Stop everything."""
        for ticket in list(self._by_ticket):
            self.cancel(ticket)
        for worker in self._workers.values():
            worker.shutdown(wait=True, cancel_futures=True)

    async def _next(self, job: Job, seconds: float) -> None:
        job.changed.clear()
        try:
            await asyncio.wait_for(job.changed.wait(), seconds)
        except TimeoutError:
            return

    def _work(self, job: Job, ask: Ask, query: Query) -> None:
        if self._waiting >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} questions are waiting already: ask again when some are answered")
        self._waiting += 1
        self._by_key[job.key] = job
        model = getattr(query, "model", "")
        model = model if model in self._studio.models else ""
        self._worker(model).submit(self._answer, job, ask, query)

    def _worker(self, model: str) -> ThreadPoolExecutor:
        if model not in self._workers:
            self._workers[model] = ThreadPoolExecutor(1, thread_name_prefix="foveal")
        return self._workers[model]

    def _answer(self, job: Job, ask: Ask, query: Query) -> None:
        """In the worker's thread."""
        job.started = time.monotonic()

        def progress(what: str, done: int, total: int) -> None:
            if not job.tickets:
                raise Canceled
            now = time.monotonic()
            if now - job.heard < BETWEEN:
                return
            job.heard, spent = now, now - job.started
            left = spent * (total - done) / done if done and total else None
            self._tell(job, Event(kind="progress", what=what, done=done, total=total, left=left))

        try:
            if not job.tickets:
                raise Canceled
            answer = ask.answer(self._studio, query, progress).model_dump_json().encode()
        except Canceled:
            self._tell(job, Event(kind="canceled"))
        except FovealError as error:
            self._tell(job, Event(kind="error", sentence=str(error)))
        except (Exception, SystemExit) as error:  # noqa: BLE001  the page must hear of it, whatever it is
            self._studio.failed(ask.name, error)
            self._tell(job, Event(kind="error", sentence=f"{UNEXPECTED}{type(error).__name__}: {reason(error)}"))
        else:
            if ask.lasting:
                self._studio.answers.put(job.key, answer)
            self._tell(job, Event(kind="answer"), answer)

    def _tell(self, job: Job, state: Event, answer: bytes | None = None) -> None:
        def tell() -> None:
            job.state, job.answer, job.version = state, answer, job.version + 1
            job.changed.set()
            if job.over:
                self._waiting -= 1
                if self._by_key.get(job.key) is job:
                    del self._by_key[job.key]

        self._on_loop(tell)

    def _on_loop(self, call: Callable[[], Any]) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(call)

    def forget(self) -> None:
        """Give back tickets that nobody asked about for a while: a page was closed."""
        old = time.monotonic() - FORGOTTEN
        for ticket in [ticket for ticket, (_, seen) in self._by_ticket.items() if seen < old]:
            self.cancel(ticket)

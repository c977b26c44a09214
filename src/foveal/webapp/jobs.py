"""Work in threads, one a model: what is asked twice is done once, and what nobody waits for stops.

jobs.start("page.1", ask, query)     many tickets, such as page.1, can wait for one job
await jobs.wait("page.1", 0.15)      the job, over or not
jobs.follow("page.1")                from now on the page hears of it
jobs.events("page")                  of all that a page follows: progress, then the answer or an error
jobs.cancel("page.1")                the page has the answer, or gives up: without tickets, a job stops
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from foveal.errors import FovealError
from foveal.report.answers.wire import Wire
from foveal.storage.reading import reason
from foveal.webapp.ask import Canceled

if TYPE_CHECKING:
    from foveal.webapp.ask import Ask, Query
    from foveal.webapp.studio import Studio

MOST_WAITING = 64
FORGOTTEN = 30.0  # seconds after which a ticket is gone whose page does not listen
GRACE = 3.0  # the same for a page that listened and went away
BETWEEN = 0.05  # seconds between two events of progress
NO_NUMBER = "what was measured is infinite or no number, so nothing is shown: check the input and the weights"
UNEXPECTED = "foveal failed on this, which is a fault of foveal: "


class Busy(FovealError):
    """More work is waiting than is kept."""


class Event(Wire):
    """What a page hears of a job of its own: first `progress`, then one of the others.

    Attributes:
        job: its name.
        what, done, total: how far it is.
        left: seconds that are left; None where that is not known yet.
        sentence: of an error.
    """

    job: str = ""
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


@dataclass(eq=False)
class Waiting:
    """Someone who waits for a job.

    Attributes:
        until: when a ticket is forgotten whose page does not listen, or has heard the end.
        heard: the version of the job that the page knows.
    """

    job: Job
    until: float
    page: str = ""
    heard: int = -1


class Jobs:
    """The work of one studio; made inside of a running event loop.

    Attributes:
        waiting: how many answers are in the making, or wait for it.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio, self.loop = studio, asyncio.get_running_loop()
        self._by_key: dict[str, Job] = {}
        self._tickets: dict[str, Waiting] = {}
        self._listening: dict[str, asyncio.Event] = {}
        self._workers: dict[str, ThreadPoolExecutor] = {}
        self.waiting, self._closed = 0, False

    def start(self, ticket: str, ask: Ask, query: Query) -> None:
        """Make the answer to a query, or wait for a job that makes it already.

        Raises:
            Busy: when too much work is waiting, or the ticket is in use.
        """
        if ticket in self._tickets:
            raise Busy("this question has the number of another that is not answered yet: ask again")
        key = ask.key(query)
        job = self._by_key.get(key)
        if job is None or job.over or not job.tickets:
            kept = self._studio.answers.get(key) if ask.lasting else None
            job = Job(key, {ticket})
            if kept is not None:
                job.answer, job.state = kept, Event(kind="answer")
            else:
                self._work(job, ask, query)
        job.tickets.add(ticket)
        self._tickets[ticket] = Waiting(job, time.monotonic() + FORGOTTEN)

    async def wait(self, ticket: str, seconds: float) -> Job | None:
        """The job of a ticket, when it is over or the time is; None where there is no such ticket (any more)."""
        waiting = self._tickets.get(ticket)
        until = time.monotonic() + seconds
        while waiting and not waiting.job.over and (left := until - time.monotonic()) > 0:
            waiting.job.changed.clear()
            await _set(waiting.job.changed, left)
        return waiting.job if waiting else None

    def follow(self, ticket: str) -> None:
        """Let the page of a ticket hear of its job; where it is not listening yet, as soon as it is."""
        if waiting := self._tickets.get(ticket):
            waiting.page = ticket.partition(".")[0]
            self._wake(waiting.page)

    async def events(self, page: str) -> AsyncGenerator[tuple[Event, bytes | None]]:
        """What happens to the jobs that a page follows, with the answer where there is one; without end.

        Args:
            page: any name; who listens under the same name later hears everything from there on.
        """
        changed = self._listening[page] = asyncio.Event()
        for waiting in self._tickets.values():
            if waiting.page == page:  # an earlier stream may have ended before it got there
                waiting.heard = -1
        try:
            while self._listening.get(page) is changed and not self._closed:
                changed.clear()
                for ticket, waiting in list(self._tickets.items()):
                    job = waiting.job
                    if waiting.page != page or waiting.heard == job.version:
                        continue
                    waiting.heard = job.version
                    if job.over:
                        waiting.until = time.monotonic() + FORGOTTEN
                    yield job.state.model_copy(update={"job": ticket}), job.answer
                await _set(changed, 5.0)
        finally:
            if self._listening.get(page) is changed:
                del self._listening[page]
                for waiting in self._tickets.values():
                    if waiting.page == page:
                        waiting.until = time.monotonic() + GRACE

    def cancel(self, ticket: str) -> bool:
        """Give a ticket back; False where there is no such ticket. Work that nobody waits for stops by itself."""
        waiting = self._tickets.pop(ticket, None)
        if waiting is None:
            return False
        waiting.job.tickets.discard(ticket)
        return True

    def forget(self) -> None:
        """Give back the tickets of pages that do not listen: they were closed."""
        now = time.monotonic()
        for ticket, waiting in list(self._tickets.items()):
            if waiting.until < now and (waiting.job.over or waiting.page not in self._listening):
                self.cancel(ticket)

    def close(self) -> None:
        """Stop everything."""
        self._closed = True
        for ticket in list(self._tickets):
            self.cancel(ticket)
        for listening in self._listening.values():
            listening.set()
        for worker in self._workers.values():
            worker.shutdown(wait=True, cancel_futures=True)

    def _work(self, job: Job, ask: Ask, query: Query) -> None:
        if self.waiting >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} questions are waiting already: ask again when some are answered")
        self.waiting += 1
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
            if isinstance(error, ValidationError) and {entry["type"] for entry in error.errors()} == {"finite_number"}:
                self._tell(job, Event(kind="error", sentence=NO_NUMBER))
                return
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
            for page in {self._tickets[ticket].page for ticket in job.tickets}:
                self._wake(page)
            if job.over:
                self.waiting -= 1
                if self._by_key.get(job.key) is job:
                    del self._by_key[job.key]

        self._on_loop(tell)

    def _wake(self, page: str) -> None:
        if listening := self._listening.get(page):
            listening.set()

    def _on_loop(self, call: Callable[[], Any]) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(call)


async def _set(changed: asyncio.Event, seconds: float) -> None:
    """Wait for something to change, or so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()

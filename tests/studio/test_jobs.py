"""Work in threads: shared, told of, canceled, forgotten, bounded."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from foveal.errors import ImageError
from foveal.report.answers.wire import Wire
from foveal.webapp import jobs as jobs_module
from foveal.webapp.ask import Ask, Progress, Query
from foveal.webapp.jobs import MOST_WAITING, UNEXPECTED, Busy, Event, Jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from foveal.webapp.studio import Studio


class Number(Query):
    """A question to the work below."""

    model: str = "demo"
    number: int = 0


class Double(Wire):
    """Its answer."""

    number: int


class Work:
    """Work that goes on for as long as a test wants, and counts how often it was done and where it stopped."""

    def __init__(self, *, lasting: bool = True) -> None:
        self.ask = Ask("double", Number, Double, self.answer, lasting)
        self.go, self.begun, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.done: list[int] = []
        self.threads: set[str] = set()

    def answer(self, studio: Studio, query: Number, progress: Progress) -> Double:
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        try:
            while not self.go.wait(0.005):
                progress("doubling", 1, 2)
        except BaseException:
            self.stopped.set()
            raise
        if query.number == 13:
            raise ImageError("13 is no photo: choose another")
        if query.number == 14:
            raise ZeroDivisionError("first line\nsecond line")
        if query.number == 15:
            raise SystemExit("a function of the person's own ended Python")
        self.done.append(query.number)
        return Double(number=2 * query.number)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def run(studio: Studio) -> Callable[[Callable[[Jobs], Awaitable[Any]]], Any]:
    """Run a coroutine with jobs of its own, in a loop of its own: a browser's loop may run in this thread."""

    def run(body: Callable[[Jobs], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            jobs = Jobs(studio)
            try:
                return await asyncio.wait_for(body(jobs), 20)
            finally:
                jobs.close()

        studio.answers.__init__()  # type: ignore[misc]
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(whole())).result()

    return run


async def heard(jobs: Jobs, page: str, most: int = 1) -> list[tuple[Event, bytes | None]]:
    """What a page hears until `most` of its jobs are over."""
    events: list[tuple[Event, bytes | None]] = []
    async for event in jobs.events(page):
        events.append(event)
        if sum(known.kind != "progress" for known, _ in events) == most:
            break
    return events


def test_equal_questions_are_answered_once(run: Any, work: Work) -> None:
    async def body(jobs: Jobs) -> None:
        for k in range(50):
            jobs.start(f"page.{k}", work.ask, Number(number=4))
        work.go.set()
        answers = [(await jobs.wait(f"page.{k}", 5)).answer for k in range(50)]
        assert set(answers) == {b'{"number":8}'}
        jobs.start("later.0", work.ask, Number(number=4))
        assert (await jobs.wait("later.0", 0)).answer == b'{"number":8}'

    run(body)
    assert work.done == [4]


def test_what_does_not_last_is_answered_anew(run: Any) -> None:
    work = Work(lasting=False)
    work.go.set()

    async def body(jobs: Jobs) -> None:
        for k in range(3):
            jobs.start(f"page.{k}", work.ask, Number(number=4))
            await jobs.wait(f"page.{k}", 5)

    run(body)
    assert work.done == [4, 4, 4]


def test_a_page_hears_progress_and_the_answer(run: Any, work: Work) -> None:
    async def body(jobs: Jobs) -> None:
        jobs.start("page.0", work.ask, Number(number=5))
        jobs.follow("page.0")
        asyncio.get_running_loop().call_later(0.3, work.go.set)
        events = await heard(jobs, "page")
        assert {event.job for event, _ in events} == {"page.0"}
        assert events[-1][0].kind == "answer"
        assert events[-1][1] == b'{"number":10}'
        progress = [event for event, _ in events if event.what == "doubling"]
        assert progress
        assert all((event.done, event.total, event.kind) == (1, 2, "progress") for event in progress)
        assert all(event.left is not None and event.left < 1 for event in progress)
        assert len(progress) < 10, "a page is not told every millisecond"

    run(body)


def test_pages_hear_only_of_their_own_jobs_and_only_of_those_they_follow(run: Any, work: Work) -> None:
    work.go.set()

    async def body(jobs: Jobs) -> None:
        for ticket, number in (("one.0", 1), ("one.1", 2), ("two.0", 3)):
            jobs.start(ticket, work.ask, Number(number=number))
        jobs.follow("one.1")
        jobs.follow("two.0")
        assert [event.job for event, _ in await heard(jobs, "one") if event.kind == "answer"] == ["one.1"]
        assert [event.job for event, _ in await heard(jobs, "two") if event.kind == "answer"] == ["two.0"]

    run(body)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (13, "13 is no photo: choose another"),
        (14, f"{UNEXPECTED}ZeroDivisionError: first line"),
        (15, f"{UNEXPECTED}SystemExit: a function of the person's own ended Python"),
    ],
)
def test_a_failure_is_a_sentence_and_is_not_kept(
    run: Any, work: Work, number: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    work.go.set()

    async def body(jobs: Jobs) -> None:
        for k in range(2):
            jobs.start(f"page.{k}", work.ask, Number(number=number))
            job = await jobs.wait(f"page.{k}", 5)
            assert job.state.kind == "error"
            assert job.state.sentence == sentence
        jobs.start("page.2", work.ask, Number(number=1))
        assert (await jobs.wait("page.2", 5)).answer == b'{"number":2}'

    run(body)
    assert ("Traceback" in capsys.readouterr().err) == (number != 13), "our own faults are told the terminal"


def test_work_stops_when_its_last_ticket_is_gone(run: Any, work: Work) -> None:
    async def body(jobs: Jobs) -> None:
        jobs.start("page.0", work.ask, Number(number=6))
        jobs.start("page.1", work.ask, Number(number=6))
        while not work.begun.is_set():
            await asyncio.sleep(0.001)
        assert jobs.cancel("page.0")
        await asyncio.sleep(0.05)
        assert not work.stopped.is_set(), "another page still waits"
        assert jobs.cancel("page.1")
        while not work.stopped.is_set():
            await asyncio.sleep(0.001)
        assert not jobs.cancel("page.1"), "it is gone"
        assert await jobs.wait("page.1", 0) is None

    run(body)
    assert work.done == []


def test_work_that_was_canceled_before_it_began_never_begins(run: Any, work: Work) -> None:
    async def body(jobs: Jobs) -> None:
        jobs.start("page.0", work.ask, Number(number=1))
        for k in range(1, 10):
            jobs.start(f"page.{k}", work.ask, Number(number=k + 20))
        for k in range(1, 10):
            jobs.cancel(f"page.{k}")
        work.go.set()
        await jobs.wait("page.0", 5)
        jobs.start("page.11", work.ask, Number(number=11))
        await jobs.wait("page.11", 5)

    run(body)
    assert work.done == [1, 11]


def test_a_question_is_asked_anew_while_its_canceled_work_still_stops(run: Any, work: Work) -> None:
    async def body(jobs: Jobs) -> None:
        jobs.start("page.0", work.ask, Number(number=7))
        while not work.begun.is_set():
            await asyncio.sleep(0.001)
        jobs.cancel("page.0")
        jobs.start("page.1", work.ask, Number(number=7))
        while not work.stopped.is_set():
            await asyncio.sleep(0.001)
        work.go.set()
        assert (await jobs.wait("page.1", 5)).answer == b'{"number":14}'

    run(body)


def test_a_page_that_is_closed_gives_its_tickets_back(run: Any, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "GRACE", 0.05)

    async def body(jobs: Jobs) -> None:
        jobs.start("page.0", work.ask, Number(number=8))
        jobs.follow("page.0")
        page = asyncio.create_task(heard(jobs, "page"))
        await asyncio.sleep(0.02)
        jobs.forget()
        assert not work.stopped.is_set(), "the page listens"
        page.cancel()
        await asyncio.sleep(0.1)
        jobs.forget()
        while not work.stopped.is_set():
            await asyncio.sleep(0.001)

    run(body)


def test_a_page_that_comes_back_hears_what_it_missed(run: Any, work: Work) -> None:
    async def body(jobs: Jobs) -> None:
        jobs.start("page.0", work.ask, Number(number=9))
        jobs.follow("page.0")
        page = asyncio.create_task(heard(jobs, "page"))
        await asyncio.sleep(0.02)
        page.cancel()
        work.go.set()
        await jobs.wait("page.0", 5)
        jobs.forget()
        assert (await heard(jobs, "page"))[-1][1] == b'{"number":18}'

    run(body)


def test_an_answer_reaches_the_page_though_its_last_stream_was_gone(run: Any, work: Work) -> None:
    """The page closed one stream and opened another; the server tells the first of the answer, which nobody reads."""

    async def body(jobs: Jobs) -> None:
        old = jobs.events("page")
        lost = asyncio.create_task(anext(old))
        await asyncio.sleep(0.01)
        jobs.start("page.0", work.ask, Number(number=9))
        work.go.set()
        await jobs.wait("page.0", 5)
        jobs.follow("page.0")
        assert (await lost)[1] == b'{"number":18}'
        assert (await heard(jobs, "page"))[-1][1] == b'{"number":18}'
        assert jobs.cancel("page.0"), "kept until the page says that it has the answer"
        await old.aclose()

    run(body)


def test_tickets_that_nobody_asks_about_are_forgotten(run: Any, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "FORGOTTEN", 0.0)
    work.go.set()

    async def body(jobs: Jobs) -> None:
        for k in range(100):
            jobs.start(f"page.{k}", work.ask, Number(number=k % 3))
            await jobs.wait(f"page.{k}", 5)
        jobs.forget()
        assert await jobs.wait("page.99", 0) is None
        assert not jobs._tickets
        assert not jobs._by_key

    run(body)


def test_more_than_enough_questions_are_refused(run: Any, work: Work) -> None:
    async def body(jobs: Jobs) -> None:
        for k in range(MOST_WAITING):
            jobs.start(f"page.{k}", work.ask, Number(number=k))
        with pytest.raises(Busy, match="waiting already"):
            jobs.start("page.999", work.ask, Number(number=999))
        jobs.start("page.1000", work.ask, Number(number=5))  # one that is being answered costs nothing
        work.go.set()
        assert (await jobs.wait("page.0", 5)).answer == b'{"number":0}'
        await jobs.wait(f"page.{MOST_WAITING - 1}", 5)
        jobs.start("page.1001", work.ask, Number(number=1001))
        assert (await jobs.wait("page.1001", 5)).answer == b'{"number":2002}'

    run(body)


def test_a_ticket_stands_for_one_question(run: Any, work: Work) -> None:
    async def body(jobs: Jobs) -> None:
        jobs.start("page.0", work.ask, Number(number=1))
        with pytest.raises(Busy, match="number of another"):
            jobs.start("page.0", work.ask, Number(number=2))

    run(body)


def test_models_work_beside_each_other_each_in_one_thread(run: Any) -> None:
    works = {name: Work() for name in ("demo", "embed")}

    async def body(jobs: Jobs) -> None:
        for k in range(4):
            for name, work in works.items():
                jobs.start(f"{name}.{k}", work.ask, Number(model=name, number=k))
        while not all(work.begun.is_set() for work in works.values()):
            await asyncio.sleep(0.001)
        for name, work in works.items():
            work.go.set()
            await jobs.wait(f"{name}.3", 5)

    run(body)
    assert all(len(work.threads) == 1 and work.done == [0, 1, 2, 3] for work in works.values())


def test_unknown_models_share_a_thread(run: Any, work: Work) -> None:
    """Otherwise each name that a stranger thinks of would be a thread."""
    work.go.set()

    async def body(jobs: Jobs) -> None:
        before = threading.active_count()
        for k in range(40):
            jobs.start(f"page.{k}", work.ask, Number(model=f"model {k}", number=k))
            await jobs.wait(f"page.{k}", 5)
        assert threading.active_count() <= before + 1

    run(body)


def test_closing_stops_the_work(studio: Studio, work: Work) -> None:
    async def whole() -> float:
        jobs = Jobs(studio)
        jobs.start("page.0", work.ask, Number(number=1))
        jobs.follow("page.0")
        page = asyncio.create_task(heard(jobs, "page"))
        while not work.begun.is_set():
            await asyncio.sleep(0.001)
        started = time.monotonic()
        jobs.close()
        assert work.stopped.is_set()
        assert all(event.kind == "progress" for event, _ in await page), "the stream ends"
        assert not await heard(jobs, "another"), "nor does one begin"
        return time.monotonic() - started

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: asyncio.run(whole())).result() < 5

"""The server: the page, its photos, and a path for each ask."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

from fastapi import FastAPI, Header, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException

import foveal.webapp.asks  # noqa: F401  registers what can be asked
from foveal.errors import FovealError, printable
from foveal.report.answers.library import PhotoEntry
from foveal.report.answers.measured import MeasuredAnswer
from foveal.report.answers.tree_pictures import PicturesAnswer
from foveal.report.answers.wire import Wire
from foveal.storage.reading import reason
from foveal.webapp.ask import ASKS, Ask
from foveal.webapp.asks.upload import uploaded
from foveal.webapp.jobs import UNEXPECTED, Busy, Event, Jobs
from foveal.webapp.photos import UnknownPhoto

if TYPE_CHECKING:
    from foveal.webapp.openings import Openings
    from foveal.webapp.studio import Studio

PATIENCE = 0.15  # seconds that a question waits for its answer before it becomes a job with progress

UNREADABLE = "the page asked something unreadable: "
FORGETTING = 1.0  # seconds between two looks for tickets that nobody asks about


TICKET = r"^[A-Za-z0-9_-]{1,40}\.[0-9]{1,9}$"
PageName = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,40}$")]


class Ticket(Wire):
    """The answer takes longer: of the job PAGE.NUMBER one hears at /api/events/PAGE.

    A page names its jobs itself, by the header X-Job, so that it can cancel what it has just asked.
    """

    job: str


class Problem(Wire):
    """What went wrong, in one sentence, and what to do."""

    sentence: str


def create_app(studio: Studio) -> FastAPI:
    """The server of a studio; whoever runs it puts `webapp.security` around it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.jobs = jobs = Jobs(studio)
        forgetting = asyncio.create_task(_forget(jobs))
        yield
        forgetting.cancel()
        jobs.close()

    app = FastAPI(title="foveal studio", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(FovealError, _problem)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(Exception, _failed)
    for one in ASKS.values():
        _route(app, one)

    @app.get("/api/events/{page}", response_class=EventSourceResponse)
    async def events(page: PageName, request: Request) -> AsyncIterator[ServerSentEvent]:
        """What happens to the jobs of a page: progress, then the answer, an error, or that it was canceled."""
        async with aclosing(request.app.state.jobs.events(page)) as heard:
            async for event, answer in heard:
                yield ServerSentEvent(raw_data=_told(event, answer))

    @app.get("/api/openings", response_class=EventSourceResponse, include_in_schema=False)
    async def openings() -> AsyncIterator[ServerSentEvent]:
        """Addresses that Python opens on the page."""
        if studio.openings:
            async with aclosing(_heard(studio.openings)) as heard:
                async for address in heard:
                    yield ServerSentEvent(data={"address": address})

    @app.delete("/api/jobs/{job}")
    async def cancel(job: str, request: Request) -> bool:
        """The answer is there, or is not waited for any more; work that nobody waits for stops after its chunk."""
        stopped: bool = request.app.state.jobs.cancel(job)
        return stopped

    @app.post("/api/photos", responses=_problems(400, 413), openapi_extra=_BYTES)
    async def add_photo(request: Request, x_name: Annotated[str, Header(max_length=1000)] = "photo") -> PhotoEntry:
        """Add a photo: the bytes of its file are the body, X-Name its name (percent-encoded)."""
        data = await request.body()
        return await asyncio.to_thread(uploaded, studio, data, unquote(x_name))

    @app.get("/photos/{hash}", responses={**_problems(404), 200: {"content": {"image/webp": {}}}})
    def photo(hash: str) -> Response:
        """A photo as the page draws it."""
        forever = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(studio.photos[hash].encoded(), media_type="image/webp", headers=forever)

    @app.webhooks.post("recorded")
    def recorded() -> MeasuredAnswer | PicturesAnswer:
        """No server answers this: pages that open from disk have it inside, and its shape is told here."""
        raise NotImplementedError

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(_static("studio.html"), media_type="text/html; charset=utf-8")

    @app.get("/studio.js", include_in_schema=False)
    async def script() -> Response:
        return Response(_static("studio.js"), media_type="text/javascript; charset=utf-8")

    @app.get("/studio.css", include_in_schema=False)
    async def style() -> Response:
        return Response(_static("studio.css"), media_type="text/css; charset=utf-8")

    return app


async def _forget(jobs: Jobs) -> None:
    while True:
        await asyncio.sleep(FORGETTING)
        jobs.forget()


async def _heard(openings: Openings) -> AsyncGenerator[str]:
    """What is opened, as long as the page listens."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[str | None]()
    deaf = openings.listen(lambda address: _soon(loop, queue, address))
    try:
        while (address := await queue.get()) is not None:
            yield address
    finally:
        deaf()


def _soon(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[str | None], address: str | None) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and the page with it
        loop.call_soon_threadsafe(queue.put_nowait, address)


def _told(event: Event, answer: bytes | None) -> str:
    """An event as JSON, with the answer in it if that is what happened."""
    text = event.model_dump_json()
    return f'{text[:-1]},"answer":{(answer or b"null").decode()}}}' if event.kind == "answer" else text


def _route(app: FastAPI, one: Ask) -> None:
    async def answer(query: Any, request: Request, x_job: str = "") -> Response:
        jobs: Jobs = request.app.state.jobs
        ticket = x_job or f"{secrets.token_hex(12)}.0"
        jobs.start(ticket, one, query)
        job = await jobs.wait(ticket, PATIENCE)
        if job is not None and not job.over and not await request.is_disconnected():
            jobs.follow(ticket)
            return JSONResponse({"job": ticket}, 202)
        jobs.cancel(ticket)
        if job is not None and job.answer is not None:
            return Response(job.answer, media_type="application/json")
        return JSONResponse({"sentence": (job and job.state.sentence) or "this question was canceled"}, 400)

    named = Annotated[str, Header(pattern=TICKET)]
    answer.__annotations__.update(query=one.query, request=Request, x_job=named, **{"return": Response})
    app.add_api_route(
        f"/api/{one.name}",
        answer,
        methods=["POST"],
        name=one.name,
        description=one.answer.__doc__,
        responses={200: {"model": one.result}, 202: {"model": Ticket}, **_problems(400, 503)},
    )


def _problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": Problem} for code in codes}


_BYTES = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


async def _problem(request: Request, error: Exception) -> Response:
    code = 404 if isinstance(error, UnknownPhoto) else 503 if isinstance(error, Busy) else 400
    return JSONResponse({"sentence": str(error)}, code)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"sentence": f"{UNEXPECTED}{type(error).__name__}: {reason(error)}"}, 500)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = f"the studio has no answer to {request.method} {request.url.path}: {error.detail}"
    return JSONResponse({"sentence": printable(sentence)[:300]}, error.status_code)


async def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return JSONResponse({"sentence": f"{UNREADABLE}{where}: {first['msg']}"}, 422)


def _static(name: str) -> bytes:
    file = files("foveal.render") / "static" / name
    if not file.is_file():
        raise HTTPException(404)
    return file.read_bytes()

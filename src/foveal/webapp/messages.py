"""A page that asks by messages rather than by requests: the widget of a notebook, which has no address.

page → Python    {"id", "kind": "ask", "name", "query"}    {"id", "kind": "cancel"}
                 {"id", "kind": "upload", "name"} + the file    {"id", "kind": "photo", "hash"}    {"kind": "listen"}
Python → page    {"id", "kind": "progress" …}    {"id", "kind": "answer", "answer"} (+ a photo)
                 {"id", "kind": "error", "sentence"}    {"kind": "open", "address"}
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from foveal.errors import FovealError
from foveal.storage.reading import reason
from foveal.webapp.ask import ASKS
from foveal.webapp.asks.upload import uploaded
from foveal.webapp.jobs import UNEXPECTED

if TYPE_CHECKING:
    from foveal.webapp.jobs import Jobs
    from foveal.webapp.studio import Studio

Buffers: TypeAlias = "Sequence[bytes | memoryview]"
MOST_UPLOAD = 64 * 2**20


class Messages:
    """The conversation with one page.

    Args:
        studio: what answers.
        jobs: where its work is done.
        send: takes a message and its buffers to the page; it is called in the thread of the jobs' loop.
    """

    def __init__(self, studio: Studio, jobs: Jobs, send: Callable[[dict[str, Any], list[bytes]], None]) -> None:
        self._studio, self._jobs, self._send = studio, jobs, send
        self._page = secrets.token_urlsafe(9)
        self._telling = asyncio.run_coroutine_threadsafe(self._tell(), jobs.loop)
        self._deaf: Callable[[], None] | None = None

    def hear(self, content: Mapping[str, Any], buffers: Buffers = ()) -> None:
        """A message from the page, in whatever thread; answers follow."""
        data = [bytes(buffer) for buffer in buffers]
        asyncio.run_coroutine_threadsafe(self._answer(dict(content), data), self._jobs.loop)

    def close(self) -> None:
        """The page is gone, or the studio."""
        if self._deaf:
            self._deaf()
            self._deaf = None
        self._telling.cancel()

    async def _answer(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        id, kind = str(content.get("id", ""))[:64], content.get("kind")
        try:
            match kind:
                case "ask":
                    self._ask(id, str(content.get("name")), content.get("query"))
                case "cancel":
                    self._jobs.cancel(f"{self._page}.{id}")
                case "upload":
                    entry = await asyncio.to_thread(self._uploaded, buffers, str(content.get("name", "photo")))
                    self._say(id, "answer", answer=entry.model_dump())
                case "photo":
                    photo = self._studio.photo(str(content.get("hash")))
                    self._say(id, "answer", [await asyncio.to_thread(photo.encoded)], answer=None)
                case "listen":
                    self._listen()
        except FovealError as error:
            self._say(id, "error", sentence=str(error))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            self._say(id, "error", sentence=f"the page asked something unreadable: {where}: {first['msg']}")
        except Exception as error:  # noqa: BLE001  the page must hear of it, whatever it is
            self._studio.failed(str(kind), error)
            self._say(id, "error", sentence=f"{UNEXPECTED}{type(error).__name__}: {reason(error)}")

    def _ask(self, id: str, name: str, query: Any) -> None:
        one, ticket = ASKS.get(name), f"{self._page}.{id}"
        if one is None:
            raise FovealError(f"the studio has no answer to {name!r}")
        self._jobs.start(ticket, one, one.query.model_validate(query))
        self._jobs.follow(ticket)

    async def _tell(self) -> None:
        """What happens to the jobs of this page."""
        async with aclosing(self._jobs.events(self._page)) as heard:
            async for event, answer in heard:
                told = event.model_dump(exclude={"job"})
                if event.kind == "answer":
                    told["answer"] = json.loads(answer or b"null")
                self._say(event.job.partition(".")[2], **told)

    def _uploaded(self, buffers: list[bytes], name: str) -> Any:
        if len(buffers) != 1 or len(buffers[0]) > MOST_UPLOAD:
            raise FovealError(f"the studio takes one photo of at most {MOST_UPLOAD // 2**20} MB at a time: send less")
        return uploaded(self._studio, buffers[0], name)

    def _listen(self) -> None:
        """From now on the page goes where Python opens something."""
        if self._studio.openings and self._deaf is None:
            self._deaf = self._studio.openings.listen(self._open)

    def _open(self, address: str | None) -> None:
        """In whatever thread; None is the end of the studio, which the widget is told by being closed."""
        if address is not None:
            self._jobs.loop.call_soon_threadsafe(partial(self._say, "", "open", address=address))

    def _say(self, id: str, kind: str, buffers: Sequence[bytes] = (), **fields: Any) -> None:
        self._send({"id": id, "kind": kind, **fields}, [*buffers])

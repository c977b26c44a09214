"""A studio's server on a port of this machine."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from foveal.errors import FovealError
from foveal.webapp.app import create_app
from foveal.webapp.security import Guard, is_loopback

if TYPE_CHECKING:
    from foveal.webapp.jobs import Jobs
    from foveal.webapp.studio import Studio

LOOPBACK = "127.0.0.1"
USUAL_PORT = 8765
GRACE = 2  # seconds that open requests have to end when the server stops


class StudioServer(uvicorn.Server):
    """The server of one studio; `run` serves until Ctrl-C.

    Attributes:
        address: what a browser opens; the token in it opens the studio once and for all.
    """

    def __init__(self, studio: Studio, *, host: str = LOOPBACK, port: int | None = None, token: str = "") -> None:
        check_key(host, token)
        self._socket = _listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.host, self.token = host, token or secrets.token_urlsafe(24)
        self._studio, self._app = studio, create_app(studio)
        super().__init__(
            uvicorn.Config(
                Guard(self._app, host=host, port=self.port, token=self.token),
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
            )
        )

    @property
    def address(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}/?token={self.token}"

    @property
    def busy(self) -> bool:
        """Whether a network works on an answer."""
        return bool(self._app.state.jobs.waiting)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until Ctrl-C or until `should_exit` is set."""
        super().run([self._socket])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the work first, so that nobody waits for its events."""
        self.jobs.close()
        if self._studio.openings:
            self._studio.openings.close()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):  # accepted while the others were being closed
            connection.transport.abort()
        await asyncio.sleep(0)  # they close at the loop's next step

    @property
    def jobs(self) -> Jobs:
        """Where the work is done; once the server has started."""
        jobs: Jobs = self._app.state.jobs
        return jobs


@contextmanager
def serving(
    studio: Studio, *, host: str = LOOPBACK, port: int | None = None, token: str = ""
) -> Iterator[StudioServer]:
    """A studio served by a thread of this process, as long as the block lasts."""
    server, thread = started(studio, host=host, port=port, token=token)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join()


def started(
    studio: Studio, *, host: str = LOOPBACK, port: int | None = None, token: str = ""
) -> tuple[StudioServer, threading.Thread]:
    """A studio that is served by a thread of this process; `should_exit` of the server ends both."""
    server = StudioServer(studio, host=host, port=port, token=token)
    thread = threading.Thread(target=server.run, name="foveal studio", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    return server, thread


def check_key(host: str, token: str) -> None:
    """A host that other machines reach needs a key that the person chose.

    Raises:
        FovealError: says what that means.
    """
    if token and not re.fullmatch(r"[A-Za-z0-9_-]{16,200}", token):
        raise FovealError("a token for the studio is 16 to 200 letters, digits, - or _: choose one that nobody guesses")
    if not token and not is_loopback(host):
        raise FovealError(
            f"with {host} as its host, other machines reach the studio: whoever has its address can use the models and "
            "see the photos, and what they send is not encrypted; if you want that, name a key of your own with token="
        )


def _listening(host: str, port: int | None) -> socket.socket:
    """A socket that listens: on this port; on the usual one, or any free one, where none is named."""
    for candidate in (USUAL_PORT, 0) if port is None else (port,):
        try:
            return _bound(host, candidate)
        except OSError as error:
            if candidate == 0 or port is not None:
                raise FovealError(
                    f"the studio cannot listen on {host}, port {candidate}: {error.strerror or error}; choose another "
                    "port="
                ) from error
    raise AssertionError


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # who reads the address may ask at once
    except BaseException:
        listening.close()
        raise
    return listening

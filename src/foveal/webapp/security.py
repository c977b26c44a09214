"""Who may ask the studio, and how much: a layer around the whole server.

Only a browser that opened the address with the token, on this machine, gets an answer; only pages of the studio may
ask; and no body is read beyond what an ask can need.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import json
import socket
from secrets import compare_digest
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_JSON = 2 * 2**20
MOST_UPLOAD = 64 * 2**20
MOST_UPLOADS_AT_ONCE = 2
MOST_AT_ONCE = 128  # requests, streams of events included
BODY_SECONDS = 60.0

_ONWARD = "location.replace('/' + location.hash)"
"""Goes on to the page from a link of another page: a redirect would take no cookie along."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

NO_TOKEN = "the studio opens with the address that was shown when it started: the part after ?token= is its key"
NO_HOST = "the studio answers only under the address that was shown when it started"
FOREIGN = "the studio answers only its own page, not pages of other addresses"
TOO_BUSY = "the studio has too many requests at once: close some of its pages, or wait"
TOO_SLOW = f"the studio waited {BODY_SECONDS:.0f} seconds for the rest of a request: send it again"


class RefusedRequest(Exception):
    """A request that is not answered: the status, and a sentence that says why."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Guard:
    """The server, for those who have the token.

    Args:
        app: the server.
        host: where it listens; a browser must call it by this name, or by one of this machine's own where it listens
            on the loopback or everywhere.
        port: on which it listens.
        token: what `Authorization: Bearer`, the cookie, or once the address must hold.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int, token: str) -> None:
        self._app, self._host, self._port, self._token = app, host, port, token.encode()
        self._cookie = f"foveal-{port}"
        self._requests = self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with a sentence."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a websocket: the studio has none
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send)
        self._requests += 1
        try:
            await self._answer(scope, receive, answer)
        except RefusedRequest as refused:
            await answer.refuse(refused)
        finally:
            self._requests -= 1

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = Headers(scope=scope)
        self._check_host(headers)
        opened = scope["method"] == "GET" and scope["path"] == "/" and b"token=" in scope["query_string"]
        if opened:
            self._check_token(parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0])
            linked = headers.get("sec-fetch-site") in ("cross-site", "same-site")
            await answer.open(self._set_cookie(), linked=linked)
            return
        self._check_origin(headers)
        self._check_token(self._shown(headers))
        if self._requests > MOST_AT_ONCE:
            raise RefusedRequest(503, TOO_BUSY)
        upload = scope["path"] == "/api/photos"
        if upload and self._uploads >= MOST_UPLOADS_AT_ONCE:
            raise RefusedRequest(503, "the studio is taking other photos: send this one when they are there")
        self._uploads += upload
        try:
            body = await _body(headers, receive, MOST_UPLOAD if upload else MOST_JSON)
            await self._app(scope, _again(body, receive), answer)
        finally:
            self._uploads -= upload

    def _check_host(self, headers: Headers) -> None:
        if [*map(self._is_own, headers.getlist("host"))] != [True]:
            raise RefusedRequest(403, NO_HOST)

    def _check_origin(self, headers: Headers) -> None:
        own = {f"http://{headers['host']}"}
        foreign = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        if foreign or not own.issuperset(headers.getlist("origin")):
            raise RefusedRequest(403, FOREIGN)

    def _check_token(self, shown: str) -> None:
        if not compare_digest(shown.encode(), self._token):
            raise RefusedRequest(403, NO_TOKEN)

    def _shown(self, headers: Headers) -> str:
        """The token as a program or a browser shows it."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return bearer
        pieces = (piece.strip().partition("=") for piece in headers.get("cookie", "").split(";"))
        return next((value for name, _, value in pieces if name == self._cookie), "")

    def _set_cookie(self) -> str:
        return f"{self._cookie}={self._token.decode()}; Path=/; HttpOnly; SameSite=Strict"

    def _is_own(self, called: str) -> bool:
        """Whether the server has this name and port: a page of another name that leads here is refused."""
        name, port = _name_and_port(called)
        if port != self._port:
            return False
        everywhere = self._host in ("0.0.0.0", "::", "")
        names = {self._host.lower()}
        if everywhere or is_loopback(self._host):
            names |= {"localhost", "127.0.0.1", "::1"}
        if everywhere:  # an address of figures cannot be made to lead here from elsewhere, a name can
            return name in names | {socket.gethostname().lower()} or _address(name) is not None
        return name in names


class _Answer:
    """What is sent, with the headers that every answer has."""

    def __init__(self, send: Send) -> None:
        self._send, self._started = send, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, refused: RefusedRequest) -> None:
        """One sentence; the connection ends, so that nothing more of the request is read."""
        if not self._started:
            body = json.dumps({"sentence": refused.sentence}, ensure_ascii=False).encode()
            await self._whole(refused.status, body, {"content-type": "application/json", "connection": "close"})

    async def open(self, cookie: str, *, linked: bool) -> None:
        """The studio is opened: from now on the browser shows the token by itself.

        Args:
            linked: a person followed a link of another page, such as a notebook's.
        """
        if not linked:
            await self._whole(303, b"", {"location": "/", "set-cookie": cookie})
            return
        allowed = base64.b64encode(hashlib.sha256(_ONWARD.encode()).digest()).decode()
        headers = {
            "content-type": "text/html; charset=utf-8",
            "set-cookie": cookie,
            "content-security-policy": f"default-src 'none'; script-src 'sha256-{allowed}'; frame-ancestors 'none'",
        }
        await self._whole(200, f"<!doctype html><title>foveal</title><script>{_ONWARD}</script>".encode(), headers)

    async def _whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        listed = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        listed.append((b"content-length", str(len(body)).encode()))
        await self({"type": "http.response.start", "status": status, "headers": listed})
        await self({"type": "http.response.body", "body": body})


async def _body(headers: Headers, receive: Receive, most: int) -> bytes:
    """The body, unless it is larger than `most` bytes; that is noticed before or while it is read."""
    too_large = RefusedRequest(413, f"the studio takes at most {most // 2**20} MB at once: send less")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RefusedRequest(400, "the request ended before its body")
                body += message.get("body", b"")
                if len(body) > most:
                    raise too_large
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        raise RefusedRequest(408, TOO_SLOW) from None


def _again(body: bytes, receive: Receive) -> Receive:
    """The body as the server receives it; then what comes after it, such as that the page is gone."""
    waiting: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received


def _name_and_port(called: str) -> tuple[str, int | None]:
    """Of a `Host` header: "127.0.0.1:80", "[::1]:80", "localhost"."""
    name, colon, port = called.rpartition(":")
    if not colon or called.endswith("]"):
        name, port = called, "80"
    return name.removeprefix("[").removesuffix("]").lower(), int(port) if port.isdecimal() and len(port) < 6 else None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach that host."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)

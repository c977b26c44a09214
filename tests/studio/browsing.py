"""What a browser heard while it looked at a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Response, Route

LOOPBACK = ("127.0.0.1", "localhost")
PATIENCE = 30.0
"""Seconds that a page has for what it does at once on a quiet machine."""
SENTENCES = (400, 404, 413, 422)
"""Answers to an ask that the page shows as a sentence."""


def soon(page: Page, happened: Callable[[], object]) -> None:
    """Wait until it has happened, for as long as a busy machine may need."""
    last = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < last, f"has not happened in {PATIENCE:g} s"
        page.wait_for_timeout(20)


@dataclass
class Watch:
    """Collects what must not happen on a page."""

    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Watch this page; what it asks of another host is refused, and counted."""
        page.on("pageerror", lambda error: self.errors.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("response", self._answered)
        page.context.route(lambda url: not _own(url), self._refuse)

    def check(self) -> None:
        """Fail where something happened."""
        assert not self.elsewhere, f"the page asked other hosts: {self.elsewhere}"
        assert not self.errors, "\n".join(self.errors)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.errors.append(f"console: {message.text}")

    def _answered(self, response: Response) -> None:
        asked = "/api/" in response.url and response.status in SENTENCES
        if response.status >= 400 and not asked:
            self.errors.append(f"{response.status} for {response.url}")

    def _refuse(self, route: Route) -> None:
        self.elsewhere.append(route.request.url)
        route.abort()


def violations(page: Page) -> list[str]:
    """What axe-core finds on a page, a line each: the rule, what it is about, and where."""
    page.evaluate(AXE_SCRIPT)
    return [
        f"{rule['id']}: {rule['help']}: {', '.join(str(node['target']) for node in rule['nodes'][:5])}"
        for rule in page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]  # or it takes twice as long
    ]


def _own(url: str) -> bool:
    address = urlsplit(url)
    return address.scheme in ("data", "blob", "file", "about") or address.hostname in LOOPBACK

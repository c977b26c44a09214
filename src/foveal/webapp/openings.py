"""What Python opens on the pages of a studio, and what a page says that its person looks at."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

from pydantic import Field

from foveal.report.answers.wire import Wire

Listener: TypeAlias = Callable[[str | None], None]
"""Hears addresses (`#/match?photo=…`), and None when the studio closes; in whatever thread."""


class Viewed(Wire):
    """What a person looks at on a page.

    Attributes:
        address: of the page, `#/decision?photo=…`; what is at its default is left out.
        photo: its hash.
        model: its name in this studio.
        target: what is explained, as on the command line.
        method: with its options.
        layer: "" where none was chosen.
    """

    address: str = Field(max_length=4000)
    photo: str = Field(max_length=64)
    model: str = Field(max_length=300)
    target: str = Field(default="", max_length=1000)
    method: str = Field(default="", max_length=300)
    layer: str = Field(default="", max_length=300)


class Openings:
    """Addresses go to all pages that listen; where none does, the last one waits for the first that comes."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._waiting: str | None = None
        self._lock = Lock()
        self.viewed: Viewed | None = None

    def open(self, address: str) -> bool:
        """Show this on the pages; whether there is one."""
        with self._lock:
            listeners = list(self._listeners)
            self._waiting = None if listeners else address
        for listener in listeners:
            listener(address)
        return bool(listeners)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear what is opened from now on; what comes back ends it."""
        with self._lock:
            self._listeners.append(listener)
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            listener(waiting)

        def deaf() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return deaf

    def close(self) -> None:
        """Tell all pages that nothing more is opened."""
        with self._lock:
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(None)

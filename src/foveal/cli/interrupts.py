"""Ctrl-C, remembered: libraries that it hits while they load raise errors of their own instead."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130
"""The exit status."""
_happened = _reported = _checked = False


def watch() -> None:
    """Remember every Ctrl-C from now on.

    A process that ignores interrupts, such as one in the background of a shell, goes on ignoring them.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def happened() -> bool:
    """Whether Ctrl-C was pressed since `watch`."""
    return _happened


def check() -> None:
    """Raise the Ctrl-C that a library has swallowed while it loaded; once, and not one that was seen."""
    global _checked
    if unreported() and not _checked:
        _checked = True
        raise KeyboardInterrupt


def reported() -> None:
    """The person was told."""
    global _reported
    _reported = True


def unreported() -> bool:
    """Whether Ctrl-C was pressed and nobody was told."""
    return _happened and not _reported


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _happened
    _happened = True
    signal.default_int_handler(number, frame)

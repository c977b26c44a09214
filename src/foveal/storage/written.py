"""Who wants to know what is written: commands list the files of a run in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_listeners: list[Callable[[Path], None]] = []


@contextmanager
def listening(listener: Callable[[Path], None]) -> Iterator[None]:
    """Inside, `listener` gets the path of every file that this process has written whole."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce(path: Path) -> None:
    """The file is written and has its name."""
    for listener in tuple(_listeners):
        listener(path)


@contextmanager
def unheard() -> Iterator[None]:
    """Inside, nobody hears of files: what is written is of use to the program alone."""
    listeners, _listeners[:] = _listeners[:], []
    try:
        yield
    finally:
        _listeners[:] = listeners

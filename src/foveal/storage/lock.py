"""One writer at a time, and nobody waits for the dead: the system itself ends the lock of a process that ended."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foveal.errors import ResultError

if sys.platform != "win32":
    import fcntl
else:
    import msvcrt

PATIENCE = 60.0  # seconds; what is done under a lock takes a fraction of one
PAUSE = 0.01


@contextmanager
def alone(lock: Path, *, patience: float = PATIENCE, busy: str | None = None) -> Iterator[None]:
    """Nobody else is between `alone` and its end with this lock file, in other processes and threads alike.

    Args:
        busy: what is said where somebody else is.

    Raises:
        ResultError: when it took longer than `patience`.
    """
    number = _taken(lock, time.monotonic() + patience, busy)
    try:
        yield
    finally:
        # Removed before it is given up: whoever waits for this very file finds it gone, and takes the next one.
        with suppress(OSError):
            lock.unlink()
        os.close(number)


def _taken(lock: Path, until: float, busy: str | None) -> int:
    while True:
        number = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            while not _locked(number):
                if time.monotonic() > until:
                    where = f"Cannot write in {str(lock.parent)!r}"
                    raise ResultError(
                        busy
                        or f"{where}: another program has been writing there for a minute; wait for it, or name "
                        "another folder."
                    )
                time.sleep(PAUSE)
            if _is(number, lock):
                return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _locked(number: int) -> bool:
    """Whether it is ours; where a file system knows no locks, it is."""
    try:
        if sys.platform != "win32":
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _is(number: int, lock: Path) -> bool:
    """Whether the file that was opened still bears its name."""
    try:
        return os.path.samestat(os.fstat(number), lock.stat())
    except OSError:
        return False

"""Names for what is being written, and an end to what killed writers leave behind.

A temporary file or folder is called .foveal-PROCESS-PLACE-RANDOM; PLACE stands for the machine since its last start,
where alone a number of a process means anything.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

NAME = re.compile(r"\.foveal-(\d{1,10})-([0-9a-f]{8})-[0-9a-f]{12}(\.\w{1,20})?")
DAY = 24 * 3600.0  # what was written elsewhere is left alone for so long
_writing: set[str] = set()
"""Names that this process writes to now."""


@contextmanager
def temporary(folder: Path, ending: str = "") -> Iterator[Path]:
    """A free path in a folder to write a file or folder to; what is still there at the end is removed.

    What writers left there that no longer run goes, too.
    """
    clear(folder)
    name = f".foveal-{os.getpid()}-{_place()}-{secrets.token_hex(6)}{ending}"
    _writing.add(name)
    try:
        yield folder / name
    finally:
        remove(folder / name)
        _writing.discard(name)


def clear(folder: Path) -> None:
    """Remove what killed writers left in a folder, and nothing of those that run."""
    try:
        with os.scandir(folder) as entries:
            leftovers = [Path(entry.path) for entry in entries if entry.name.startswith(".foveal-")]
    except OSError:  # no such folder, or one that may not be listed
        return
    for path in leftovers:
        if (match := NAME.fullmatch(path.name)) and _left(path, int(match[1]), match[2]):
            remove(path)


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is being written, or was left by a killed writer."""
    return NAME.fullmatch(name) is not None


def remove(path: Path) -> None:
    """A file or folder, if it is there and may be removed."""
    try:
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError:  # a folder; systems disagree about the error
        shutil.rmtree(path, ignore_errors=True)


def _left(path: Path, process: int, place: str) -> bool:
    """Nobody writes to it any more."""
    if place == _place() and sys.platform != "win32":
        return path.name not in _writing if process == os.getpid() else not _alive(process)
    try:
        return time.time() - path.stat().st_mtime > DAY
    except OSError:
        return False


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    try:  # a process that has ended, and whose parent has not looked yet, takes signals
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


@cache
def _place() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]

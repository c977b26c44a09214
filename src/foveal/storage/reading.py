"""Files that another program, a full disk or a stranger may have made: opened within bounds, failing in known ways.

Every reader catches `DAMAGE`, and nothing else, and says in one sentence what it could not read.
"""

from __future__ import annotations

import csv
import json
import os
import pickle
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from safetensors import SafetensorError

from foveal.errors import FovealError, ResultError

MEBIBYTE = 2**20
TEXT = 64 * MEBIBYTE
"""No manifest, sidecar, table or list of labels is larger."""

DAMAGE = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError,
    ArithmeticError, MemoryError, struct.error, zlib.error, zipfile.BadZipFile, pickle.UnpicklingError, csv.Error,
    tokenize.TokenError, Image.DecompressionBombError, SafetensorError,
)  # fmt: skip
"""What decoders raise on damaged files: found by damaging files of every format that foveal reads."""


@contextmanager
def opened(path: Path, *, most: int | None = None) -> Iterator[BinaryIO]:
    """A regular file, open for reading in binary.

    A named pipe would wait for ever and a device never end, so neither is read.

    Args:
        path: a file, or a link to one.
        most: bytes it may have; None for any number.

    Raises:
        OSError: when it cannot be opened, is no regular file, or is larger; `strerror` says which.
    """
    # Without O_NONBLOCK, opening a named pipe waits for somebody to write into it.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, f"it is {_kind(status.st_mode)}, not a regular file", str(path))
        if most is not None and status.st_size > most:
            raise OSError(0, f"it has {status.st_size:,} bytes, and no such file has more than {most:,}", str(path))
        yield file


def read_bytes(path: Path, *, most: int | None = None) -> bytes:
    """All of a regular file. Raises OSError as `opened` does."""
    with opened(path, most=most) as file:
        return file.read()


def read_text(path: Path, *, most: int = TEXT, encoding: str = "utf-8-sig") -> str:
    """All of a regular file of text, a byte order mark left out.

    Raises:
        OSError: as `opened`.
        UnicodeDecodeError: when it is no text in this encoding.
    """
    return read_bytes(path, most=most).decode(encoding)


def read_json(path: Path, *, most: int = TEXT) -> Any:
    """What a JSON file says.

    Raises:
        OSError: as `opened`.
        ValueError, RecursionError: when it is no JSON.
    """
    return json.loads(read_text(path, most=most))


class Damaged(ResultError):
    """What was read is not as it was written; the sentence says so already."""


@contextmanager
def damage(cannot: str, kind: type[FovealError] = Damaged) -> Iterator[None]:
    """Whatever damaged content makes a reader raise, told in one sentence: `cannot`, and why.

    with damage("Cannot load 'out'"):
        …
    """
    try:
        yield
    except Damaged:
        raise
    except DAMAGE as error:
        raise kind(f"{cannot}: {reason(error)}.") from error


def reason(error: BaseException) -> str:
    """Why, in a few words: what the system says of a file, or the first line of the error."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0][:160].rstrip(". ") if lines else type(error).__name__


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
             stat.S_IFSOCK: "a socket"}  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "something else")

"""Files that are there whole or not at all, whatever stops the writer, also when the power fails."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foveal.errors import FovealError, ResultError
from foveal.storage.leftovers import temporary
from foveal.storage.written import announce


@contextmanager
def whole_file(path: str | os.PathLike[str], kind: type[FovealError] = ResultError) -> Iterator[Path]:
    """A new file to write into; at the end it takes the place of `path`, or else `path` stays as it was.

        with whole_file("sheet.png") as aside:
            picture.save(aside)

    Folders above are made, a link stays a link, and the file that is replaced hands on its permissions.

    Raises:
        FovealError: of this kind, where it cannot be written.
    """
    with refusal(path, kind):
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        ending = target.suffix if target.suffix[1:].isalnum() and len(target.suffix) < 20 else ""
        with temporary(target.parent, ending) as aside:
            yield aside
            with suppress(OSError):
                shutil.copymode(target, aside)
            sync_file(aside)
            aside.replace(target)
            sync_folder(target.parent)
        announce(target)


def write_bytes(path: str | os.PathLike[str], content: bytes, kind: type[FovealError] = ResultError) -> None:
    """The file with this content, whole or not at all."""
    with whole_file(path, kind) as aside:
        aside.write_bytes(content)


def write_text(path: str | os.PathLike[str], text: str, kind: type[FovealError] = ResultError) -> None:
    """The same of text in UTF-8."""
    write_bytes(path, utf8(text), kind)


def utf8(text: str) -> bytes:
    """The text, also with halves of characters, as in names of files that are no text: they become escapes."""
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def refusal(path: str | os.PathLike[str], kind: type[FovealError] = ResultError) -> Iterator[None]:
    """What the system refuses, in a sentence: a full disk, a folder that may not be written."""
    try:
        yield
    except OSError as error:
        raise kind(f"Cannot write {os.fspath(path)!r}: {error.strerror or error}.") from error


def sync_file(path: Path) -> None:
    """Wait until its content is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until its names are on the disk, where the system lets folders be opened."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

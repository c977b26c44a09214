"""A result in a folder: the earlier one or the new one, whole, whenever the writer is killed; and nobody else's files.

A new folder appears by one rename. Into one that exists, where other files may lie, a result moves in two steps: its
own folder inside gets the name `.foveal-moving`, and from that moment the new result is the one; then its files take
their places, one by one. Readers look into `.foveal-moving` first (`current`), and the next save ends what a killed
one began.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from foveal.errors import ResultError
from foveal.storage.atomic import sync_file, sync_folder
from foveal.storage.leftovers import remove, temporary
from foveal.storage.lock import alone
from foveal.storage.reading import DAMAGE, opened, read_json
from foveal.storage.written import announce

MANIFEST = "manifest.json"
FAMILY = "foveal-"  # every format's name begins so
MOVING = ".foveal-moving"
LOCK = ".foveal-lock"


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A new folder to write files and then a manifest into; they appear in `folder` only if all went well.

    The files of an earlier foveal result there are replaced; other files stay, and one that bears a name we need is an
    error.

    Raises:
        ResultError: where something else is in the way, or nothing can be written.
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and not folder.is_dir():
        raise ResultError(f"Cannot save to {str(folder)!r}: it is a file; name another folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary(folder if folder.is_dir() else folder.parent) as aside:
            aside.mkdir()
            yield aside
            _sync(aside)
            names = sorted(path.name for path in aside.iterdir())
            _appear(aside, folder)
        for name in names:
            announce(folder / name)
    except OSError as error:
        raise ResultError(f"Cannot save to {str(folder)!r}: {error.strerror or error}.") from error


@contextmanager
def current(folder: Path, name: str) -> Iterator[BinaryIO]:
    """A file of the result that a folder holds, open; also while, or after, a save is broken off.

    Raises:
        OSError: as `opened`.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened(folder / MOVING / name))
        except (FileNotFoundError, NotADirectoryError):
            file = stack.enter_context(opened(folder / name))
        yield file


def digest(file: BinaryIO) -> str:
    """The SHA-256 of an open file, which stands at its start again afterwards."""
    hasher = hashlib.sha256()
    while block := file.read(1 << 20):
        hasher.update(block)
    file.seek(0)
    return hasher.hexdigest()


def digest_of(path: Path) -> str:
    """The same of a path."""
    with opened(path) as file:
        return digest(file)


def _appear(aside: Path, folder: Path) -> None:
    if aside.parent != folder:
        try:
            aside.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            with temporary(folder) as inside:  # somebody else made the folder meanwhile
                aside.rename(inside)
                _appear(inside, folder)
        sync_folder(folder.parent)
        return
    with alone(folder / LOCK):
        _end_move(folder)
        _check_free(aside, folder)
        aside.rename(folder / MOVING)
        sync_folder(folder)
        _end_move(folder)


def _end_move(folder: Path) -> None:
    """Bring the files of a result that is the current one already to their places; may be begun any number of times."""
    moving = folder / MOVING
    if not moving.is_dir():
        remove(moving)
        return
    new, old = listed(moving), listed(folder) or {}
    if new is not None:
        for name in sorted(old.keys() - new.keys()):
            if _carries(folder / name, old[name]):
                (folder / name).unlink()
        for name in sorted(path.name for path in moving.iterdir() if path.name != MANIFEST):
            at = folder / name
            if os.path.lexists(at) and not _carries(at, old.get(name)):
                raise _in_the_way(folder, name)
            (moving / name).replace(at)
        sync_folder(folder)
        (moving / MANIFEST).replace(folder / MANIFEST)
    sync_folder(folder)
    shutil.rmtree(moving)


def _check_free(aside: Path, folder: Path) -> None:
    """Only what an earlier result of the same kind lists, and what is as it says, may be replaced."""
    there, new = kind_of(folder), kind_of(aside)
    if there and new and there != new:
        raise ResultError(
            f"Cannot save to {str(folder)!r}: it holds a result of another kind ({there}, not {new}); "
            "name another folder."
        )
    old = listed(folder)
    for name in sorted(path.name for path in aside.iterdir()):
        ours = old is not None if name == MANIFEST else _carries(folder / name, (old or {}).get(name))
        if os.path.lexists(folder / name) and not ours:
            raise _in_the_way(folder, name, changed=name in (old or {}))


def _in_the_way(folder: Path, name: str, *, changed: bool = False) -> ResultError:
    why = "was changed since foveal wrote it" if changed else "was not written by foveal"
    what = "move it away, or name another folder" if changed else "name another folder"
    return ResultError(f"Cannot save to {str(folder)!r}: {name!r} there {why}; {what}.")


def listed(folder: Path) -> Mapping[str, str] | None:
    """The files of the result in a folder with their digests; None where there is no foveal manifest."""
    try:
        manifest = read_json(folder / MANIFEST)
        if not str(manifest["format"]).startswith(FAMILY):
            return None
        return {name: str(of) for name, of in manifest["files"].items() if Path(name).name == name != MANIFEST}
    except DAMAGE:
        return None


def kind_of(folder: Path) -> str | None:
    """The kind of the result in a folder, "explanation"; None where there is no foveal manifest."""
    try:
        stated = str(read_json(folder / MANIFEST)["format"])
    except DAMAGE:
        return None
    return stated.removeprefix(FAMILY).partition("/")[0] if stated.startswith(FAMILY) else None


def _carries(path: Path, wanted: str | None) -> bool:
    try:
        return wanted is not None and digest_of(path) == wanted
    except OSError:
        return False


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        sync_file(path)
    sync_folder(folder)

"""A result in a folder: all of it or none of it, and nobody else's files touched."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.errors import ResultError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST = "manifest.json"
FAMILY = "foveal-"  # every format's name begins so


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A new folder to write files and then a manifest into; they appear in `folder` only if all went well.

    A `folder` that does not exist appears at once, by one rename. In one that does, the files of an earlier foveal
    result are replaced, the manifest last; other files stay, and one that bears a name we need is an error.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise ResultError(f"Cannot save to {str(folder)!r}: it is a file; name a folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{folder.name}-{uuid.uuid4().hex[:8]}"
    aside.mkdir()
    try:
        yield aside
        _move_in(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """The manifest, with a digest of every file that lies in the folder so far."""
    files = {path.name: digest(path) for path in sorted(folder.iterdir())}
    try:
        text = json.dumps({**content, "files": files}, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ResultError(f"Cannot save this result: a parameter is not plain data ({error}).") from error
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path, format: str) -> dict[str, Any]:
    """The manifest of a saved result of this format."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        what = "it has no manifest.json" if folder.is_dir() else "there is no such folder"
        raise ResultError(f"Cannot load a result from {str(folder)!r}: {what}.") from error
    except (OSError, ValueError) as error:
        raise ResultError(f"Cannot load a result from {str(folder)!r}: bad manifest ({error}).") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != format:
        raise ResultError(f"Cannot load {str(folder)!r}: its format is {found!r}, not {format!r}.")
    return dict(content)


def listed_file(folder: Path, manifest: Mapping[str, Any], name: str) -> Path:
    """A file of the result, known to be as it was written."""
    path = folder / name
    files = manifest.get("files")
    if not (isinstance(files, dict) and name in files and Path(name).name == name):
        raise ResultError(f"Cannot load {str(folder)!r}: its manifest does not list the file {name!r}.")
    if not path.is_file():
        raise ResultError(f"Cannot load {str(folder)!r}: the file {name!r} is missing.")
    if digest(path) != files[name]:
        raise ResultError(f"Cannot load {str(folder)!r}: the file {name!r} was changed or cut since it was saved.")
    return path


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _move_in(aside: Path, folder: Path) -> None:
    if not folder.exists():
        aside.rename(folder)
        return
    ours = _files_of_earlier_result(folder)
    new = {path.name for path in aside.iterdir()}
    foreign = sorted(name for name in new - ours if (folder / name).exists())
    if foreign:
        raise ResultError(
            f"Cannot save to {str(folder)!r}: {foreign[0]!r} there is no part of a foveal result; name another folder."
        )
    (folder / MANIFEST).unlink(missing_ok=True)  # from here until the last line the folder holds no result
    for name in sorted(ours - new):
        (folder / name).unlink(missing_ok=True)
    for name in sorted(new - {MANIFEST}):
        (aside / name).replace(folder / name)
    (aside / MANIFEST).replace(folder / MANIFEST)


def _files_of_earlier_result(folder: Path) -> set[str]:
    """The names we may replace: those that a foveal manifest in the folder lists, and the manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not str(manifest["format"]).startswith(FAMILY):
            return set()
        return {MANIFEST, *(name for name in manifest["files"] if Path(name).name == name)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()

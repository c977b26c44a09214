"""What a saved result says of itself: its kind, its facts, and digests of its files and of all that it says."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from foveal.errors import ResultError
from foveal.storage import plain
from foveal.storage.atomic import utf8
from foveal.storage.folder import MANIFEST, current, digest, digest_of
from foveal.storage.reading import DAMAGE, TEXT, Damaged, damage, reason

T = TypeVar("T")
OF_ITSELF = "digest"
TRIES = 20  # while others save into the same folder again and again


@dataclass(frozen=True)
class Saved:
    """A saved result, as its manifest describes it.

    Attributes:
        folder: where it lies.
        content: what the manifest says.
        text: the manifest as it stands.
    """

    folder: Path
    content: Mapping[str, Any]
    text: str

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def get(self, key: str, default: Any) -> Any:
        """What is said of `key`, if anything is."""
        return self.content.get(key, default)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """A file of the result, known to be as it was written."""
        files, cannot = self.content.get("files"), f"Cannot load {str(self.folder)!r}"
        if not (isinstance(name, str) and isinstance(files, dict) and name in files and Path(name).name == name):
            raise Damaged(f"{cannot}: its manifest does not list the file {name!r}.")
        with ExitStack() as stack:
            try:
                file = stack.enter_context(current(self.folder, name))
            except FileNotFoundError as error:
                raise Damaged(f"{cannot}: the file {name!r} is missing.") from error
            except OSError as error:
                raise Damaged(f"{cannot}: the file {name!r} cannot be read: {reason(error)}.") from error
            if digest(file) != files[name]:
                raise Damaged(f"{cannot}: the file {name!r} was changed or cut since it was saved.")
            yield file

    def text_of(self, name: str) -> str:
        """All of a file of text."""
        with self.open(name) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
            return text.read()


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """The manifest, with a digest of every file that lies in the folder so far."""
    files = {path.name: digest_of(path) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_bytes(manifest_bytes(content, files))


def manifest_bytes(content: Mapping[str, Any], files: Mapping[str, str]) -> bytes:
    """A manifest as it lies in a folder.

    Args:
        files: name -> digest of those that it lists.

    Raises:
        ResultError: for what is no plain data, or too much.
    """
    try:
        said = plain.encoded({**content, "files": dict(files)})
        text = json.dumps({**said, OF_ITSELF: _digest(said)}, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError(f"Cannot save this result: a parameter is not plain data ({error}).") from error
    written = utf8(text + "\n")  # its escapes are those of JSON
    if len(written) > TEXT:
        raise ResultError(
            f"Cannot save this result: its manifest would have {len(written):,} bytes, more than {TEXT:,}."
        )
    return written


def load(folder: Path, format: str, build: Callable[[Saved], T]) -> T:
    """What `build` makes of a saved result of this format.

    Raises:
        ResultError: in one sentence, whatever is wrong with it.
    """
    for _ in range(TRIES):
        saved = _read(folder, format)
        try:
            with damage(f"Cannot load {str(folder)!r}: its manifest and its files do not fit together"):
                result = build(saved)
                _check(saved)
            return result
        except ResultError:
            if not _replaced(saved):
                raise
    raise ResultError(f"Cannot load {str(folder)!r}: it is being saved again and again; try later.")


def _read(folder: Path, format: str) -> Saved:
    try:
        text = _text(folder)
        content = plain.from_json(text)
    except FileNotFoundError as error:
        what = "it has no manifest.json" if folder.is_dir() else "there is no such folder"
        raise ResultError(f"Cannot load a result from {str(folder)!r}: {what}.") from error
    except DAMAGE as error:
        raise ResultError(f"Cannot load a result from {str(folder)!r}: bad manifest ({reason(error)}).") from error
    stated = content.get("format") if isinstance(content, dict) else None
    if stated != format:
        raise ResultError(f"Cannot load {str(folder)!r}: its format is {repr(stated)[:80]}, not {format!r}.")
    return Saved(folder, content, text)


def _replaced(saved: Saved) -> bool:
    """Somebody saved another result into the folder meanwhile."""
    try:
        return _text(saved.folder) != saved.text
    except DAMAGE:
        return False


def _text(folder: Path) -> str:
    with current(folder, MANIFEST) as file:
        content = file.read(TEXT + 1)
    if len(content) > TEXT:
        raise ValueError(f"it has more than {TEXT:,} bytes")
    return content.decode("utf-8-sig")


def _check(saved: Saved) -> None:
    """Values that would do, and yet are not those that were saved. Earlier results have no such digest."""
    said = json.loads(saved.text)
    if said.pop(OF_ITSELF, None) not in (None, _digest(said)):
        raise Damaged(f"Cannot load {str(saved.folder)!r}: its manifest was changed since it was saved.")


def _digest(said: Mapping[str, Any]) -> str:
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()

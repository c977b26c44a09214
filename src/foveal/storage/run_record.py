"""What a command leaves in its folder beside its results: which command it was, and which files are its own.

The record tells the results of one command from those of another, foveal's files from everybody else's, and holds
what the folder's page (`foveal.report.index`) shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from foveal.errors import ResultError
from foveal.storage.atomic import write_text
from foveal.storage.folder import MANIFEST, listed
from foveal.storage.reading import DAMAGE, read_json

RECORD = "foveal-run.json"
FORMAT = "foveal-run/1"
LINES = 2000
"""How many of the last messages a record keeps."""


@dataclass(frozen=True)
class RunRecord:
    """A command's own account of its folder.

    Attributes:
        command: "explain"; "benchmark folder".
        line: the command line.
        files: what it wrote, relative to the folder, with slashes; of all its runs.
        messages: what it said.
        finished: False where it was interrupted, or runs still.
        version: of foveal.
        earlier: those of the files that another run of the command wrote.
    """

    command: str
    line: str
    files: tuple[str, ...]
    messages: tuple[str, ...]
    finished: bool
    version: str
    earlier: tuple[str, ...] = ()

    def after(self, earlier: RunRecord | None, folder: Path) -> RunRecord:
        """The same with the files of an earlier run that are still there, and its messages where this one goes on."""
        if earlier is None or earlier.command != self.command:
            return self
        kept = [name for name in earlier.files if name not in set(self.files) and (folder / name).is_file()]
        goes_on = not earlier.finished and earlier.line == self.line
        messages = (*(earlier.messages if goes_on else ()), *self.messages)
        others = set(earlier.earlier if goes_on else kept)
        return replace(
            self, files=(*kept, *self.files), messages=messages[-LINES:],
            earlier=tuple(name for name in kept if name in others),
        )  # fmt: skip


def write_record(folder: Path, record: RunRecord) -> None:
    """Put it into the folder, in place of an earlier one."""
    write_text(folder / RECORD, json.dumps({"format": FORMAT, **asdict(record)}, indent=1) + "\n")


def read_record(folder: Path) -> RunRecord | None:
    """The record of a folder; None where there is none.

    Raises:
        ResultError: for a file of that name that foveal did not write.
    """
    try:
        return _record(read_json(folder / RECORD))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except DAMAGE as error:
        raise ResultError(f"{RECORD} in {str(folder)!r} was not written by foveal.") from error


def own_files(folder: Path) -> frozenset[str] | None:
    """What foveal wrote in a folder, relative to it, with slashes; None for a folder that foveal did not write."""
    names = set[str]()
    manifest = listed(folder)
    try:
        record = read_record(folder)
    except ResultError:
        record = None
    if manifest is None and record is None:
        return None
    names |= {MANIFEST, *(manifest or ())}
    names |= {RECORD, *(record.files if record else ())}
    return frozenset(names)


def _record(content: Mapping[str, Any]) -> RunRecord:
    if content["format"] != FORMAT:
        raise ValueError("it has another format")
    files, messages = (tuple(map(str, content[key])) for key in ("files", "messages"))
    command, line, version = (str(content[key]) for key in ("command", "line", "version"))
    earlier = tuple(map(str, content.get("earlier", ())))
    return RunRecord(command, line, files, messages, bool(content["finished"]), version, earlier)

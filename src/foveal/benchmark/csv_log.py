"""Rows of a CSV file that grows picture by picture: what is there already is not measured again.

Only whole pictures count. What a killed run or a full disk left torn at the end is cut off before anything is added;
lines that were changed, or were made with other things, are refused in a sentence. Runs may share one table.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from foveal.benchmark.entries import BenchmarkEntry, read, visible, written
from foveal.errors import ResultError
from foveal.results.scores import Scores
from foveal.storage import plain, table
from foveal.storage.atomic import refusal, write_text
from foveal.storage.fingerprint import fingerprint
from foveal.storage.lock import alone
from foveal.storage.reading import DAMAGE, opened, read_text

KEY = ("decision", "picture", "method")
MADE = "made"
SOMETHING = "-"


class CsvLog:
    """A row for each decision, picture and method; all methods of a picture are written together.

    Args:
        path: of the CSV file; it is made when there is none. Beside it PATH.json says what it was made with.
        metrics: its columns, after decision, picture and method.
        setting: what the numbers were made with, as plain data: a file of another setting is not added to.

    Raises:
        ResultError: for a file with other columns, of another setting, or with lines that were changed.
    """

    def __init__(self, path: Path, metrics: Sequence[str], setting: Mapping[str, Any]) -> None:
        self.path, self.metrics = path, tuple(metrics)
        self.columns = (*KEY, *self.metrics)
        self.setting = plain.from_json(plain.to_json(dict(setting)))
        self._of = fingerprint(setting=self.setting)[:8]
        self._head = table.line((*self.columns, MADE)).encode()
        self._entries: dict[tuple[str, str], BenchmarkEntry] = {}
        self._end, self._stamp = len(self._head), (0, 0, 0)
        with refusal(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._open()

    @property
    def done(self) -> set[tuple[str, str]]:
        """(decision, picture) of what is measured."""
        self._look()
        return set(self._entries)

    @property
    def decisions(self) -> tuple[str, ...]:
        """In the order in which they were first measured."""
        self._look()
        return tuple(dict.fromkeys(decision for decision, _ in self._entries))

    def has(self, decision: str, picture: str, digest: str = "") -> bool:
        """It is measured already, by this run or another one.

        Args:
            digest: the fingerprint of the picture and of all that is known of it.

        Raises:
            ResultError: where it was measured with another picture of that name, or other things known of it.
        """
        self._look()
        return self._known((visible(decision), visible(picture)), digest)

    def add(self, rows: Iterable[Mapping[str, Any]], digest: str = "") -> None:
        """Write the rows of one picture; a run that is broken off in between leaves none of them.

        What another run has added meanwhile is not added again.
        """
        together: dict[tuple[str, str], list[list[table.Cell]]] = {}
        for row in rows:
            cells = [_cell(row.get(key, "")) for key in self.columns]
            together.setdefault((visible(str(cells[0])), visible(str(cells[1]))), []).append(cells)
        with refusal(self.path), self._alone():
            self._look(locked=True)
            new = [cells for key, cells in together.items() if not self._known(key, digest)]
            self._append("".join(written(cells, self._of, _mark(digest)) for cells in new).encode())

    def rows(self, pictures: Collection[str] | None = None) -> list[dict[str, str]]:
        """All rows so far, or those of some pictures."""
        self._look()
        wanted = None if pictures is None else {visible(name) for name in pictures}
        return [
            dict(zip(self.columns, cells, strict=True))
            for entry in self._entries.values()
            if wanted is None or entry.key[1] in wanted
            for cells in entry.lines
        ]

    def scores(
        self, decision: str, *, references: Sequence[str] = (), model: str = "", of: str = "score",
        pictures: Collection[str] | None = None,
    ) -> Scores:  # fmt: skip
        """The values of one decision; a method that some picture lacks is undefined there, and counted."""
        own = [row for row in self.rows(pictures) if row["decision"] == decision]
        names = tuple(dict.fromkeys(row["picture"] for row in own))
        methods = tuple(dict.fromkeys(row["method"] for row in own))
        at = {(row["method"], row["picture"]): row for row in own}
        metrics = [m for m in self.metrics if any(row[m] for row in own)]
        values = {
            name: {m: tuple(table.number(at.get((name, p), {}).get(m, "")) for p in names) for m in metrics}
            for name in methods
        }
        known = tuple(name for name in methods if name in references or name.startswith("("))
        return Scores(values, names, ("",) * len(names), (math.nan,) * len(names), of, known, model)

    # --- the file ---

    def _open(self) -> None:
        """Begin the table, or make sure that it is of this setting and ends in a whole picture."""
        content = _content(self.path)
        if content is None or self._head.startswith(content):
            self._write_card()
            write_text(self.path, self._head.decode())
            return
        self._take(content)
        if _card(self._card) != self.setting:  # torn, lost or changed; each line says of itself what it was made with
            self._write_card()
        self._cut()

    def _write_card(self) -> None:
        write_text(self._card, json.dumps(plain.encoded(self.setting), indent=1, ensure_ascii=False) + "\n")

    def _look(self, *, locked: bool = False) -> None:
        """What other runs have added since."""
        if self._stamp == _stamp(self.path):
            return
        if not locked:
            with refusal(self.path), self._alone():
                self._look(locked=True)
            return
        content = _content(self.path)
        if content is None:
            raise ResultError(f"{str(self.path)!r} was taken away while it was being added to: begin anew.")
        self._take(content)

    def _take(self, content: bytes) -> None:
        """Read all of it."""
        if not content.startswith(self._head):
            raise self._otherwise(f"another first line than {self._head.decode().strip()!r}")
        entries, loose = read(content[len(self._head) :], 2, len(self._head))
        last = entries[-1].first if entries else 0
        changed = [number for number, torn in loose.items() if not torn]
        broken = changed or [number for number in loose if number < last]
        if broken or any(len(cells) != len(self.columns) for entry in entries for cells in entry.lines):
            raise ResultError(
                f"Line {broken[0] if broken else entries[0].first} of {str(self.path)!r} was changed, or lines of its "
                "picture are missing: delete all lines of that picture to measure it again, or the file to begin anew."
            )
        if any(entry.setting != self._of for entry in entries):
            raise self._otherwise("another " + ", ".join(_differing(_card(self._card), self.setting)))
        self._entries = {}
        for entry in entries:
            if entry.key in self._entries:
                raise ResultError(
                    f"{entry.where.capitalize()} of {str(self.path)!r} repeat {self._entries[entry.key].where}: delete "
                    "one of both."
                )
            self._entries[entry.key] = entry
        self._end = entries[-1].end if entries else len(self._head)
        self._stamp = _stamp(self.path)

    def _append(self, text: bytes) -> None:
        self._cut()
        with self.path.open("r+b", buffering=0) as file:
            file.seek(self._end)
            try:
                left = memoryview(text)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._end)
                raise
        first = self._lines() + 1
        for entry in read(text, first, self._end)[0]:
            self._entries[entry.key] = entry
            self._end = entry.end
        self._stamp = _stamp(self.path)

    def _cut(self) -> None:
        """Take away what is torn at the end."""
        if self.path.stat().st_size > self._end:
            os.truncate(self.path, self._end)
            self._stamp = _stamp(self.path)

    def _lines(self) -> int:
        return 1 + sum(len(entry.lines) for entry in self._entries.values())

    def _known(self, key: tuple[str, str], digest: str) -> bool:
        entry = self._entries.get(key)
        if entry and entry.digest != _mark(digest):
            raise ResultError(
                f"{key[1]!r}, or what is known of it, is not what it was when {entry.where} of {str(self.path)!r} were "
                "measured: delete those lines to measure it again, or name another folder with --out."
            )
        return entry is not None

    def _otherwise(self, how: str) -> ResultError:
        return ResultError(
            f"{str(self.path)!r} holds numbers made otherwise, with {how}: ask for the same model, methods, metrics "
            f"and steps, name another folder by --out, or delete {self.path.name} and {self._card.name} to begin anew."
        )

    @property
    def _card(self) -> Path:
        return self.path.with_suffix(".json")

    def _alone(self) -> Any:
        return alone(self.path.with_name(f".foveal-lock-{self.path.name}"))


def _content(path: Path) -> bytes | None:
    """None where there is no such file."""
    try:
        with opened(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _card(path: Path) -> Any:
    """None where there is none, or a torn one."""
    try:
        return plain.from_json(read_text(path))
    except DAMAGE:
        return None


def _differing(one: Any, other: Mapping[str, Any]) -> list[str]:
    before = one if isinstance(one, Mapping) else {}
    return [name for name in {**before, **other} if before.get(name) != other.get(name)] or ["setting"]


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return -1, 0, 0
    return status.st_ino, status.st_size, status.st_mtime_ns


def _mark(digest: str) -> str:
    """As lines have it."""
    return fingerprint(of=digest)[:12] if digest else SOMETHING


def _cell(value: Any) -> table.Cell:
    return value if isinstance(value, str) or value is None else float(value)

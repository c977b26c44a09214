"""Rows of a CSV file that grows image by image: what is there already is not measured again.

The methods that one run measures on an image are one entry, and only whole entries count. What a killed run or a full
disk left torn at the end is cut off before anything is added; lines that were changed, or were made with other
settings, are refused in a sentence. Runs may share one table, also with other methods.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from foveal.benchmark.entries import BenchmarkEntry, read, visible, written
from foveal.errors import ResultError, printable, shown
from foveal.results.scores import Scores
from foveal.storage import plain, table
from foveal.storage.atomic import refusal, write_text
from foveal.storage.fingerprint import fingerprint
from foveal.storage.lock import alone
from foveal.storage.reading import DAMAGE, opened, read_text

KEY = ("decision", "picture", "method")
MADE = "made"
SOMETHING = "-"
NOTHING = (-1, 0, 0)  # the stamp where there is no file
Key: TypeAlias = tuple[str, str]


class CsvLog:
    """A row for each decision, image and method.

    Args:
        path: of the CSV file; it is written with the first row. Beside it PATH.json says what it was made with.
        metrics: its columns, after decision, picture and method.
        setting: what the numbers were made with but for the methods, as plain data: a file of another setting is not
            added to.

    Raises:
        ResultError: for a file with other columns, of another setting, or with lines that were changed; and where no
            file can be written.
    """

    def __init__(self, path: Path, metrics: Sequence[str], setting: Mapping[str, Any]) -> None:
        self.path, self.metrics = path, tuple(metrics)
        self.columns = (*KEY, *self.metrics)
        self.setting = plain.from_json(plain.to_json(dict(setting)))
        self._of = fingerprint(setting=self.setting)[:8]
        self._head = table.line((*self.columns, MADE)).encode()
        self._entries: dict[Key, list[BenchmarkEntry]] = {}
        self._end, self._stamp = len(self._head), NOTHING
        with refusal(path):
            if _stamp(path) == NOTHING:
                _check_writable(path.parent)
                return
            with self._alone():
                self._open()

    @property
    def done(self) -> set[Key]:
        """(decision, picture) of what is measured, by some method at least."""
        self._look()
        return set(self._entries)

    @property
    def decisions(self) -> tuple[str, ...]:
        """In the order in which they were first measured."""
        self._look()
        return tuple(dict.fromkeys(decision for decision, _ in self._entries))

    def missing(self, decision: str, picture: str, methods: Iterable[str], digest: str = "") -> list[str]:
        """Those of the methods that neither this run nor another one has measured on this image.

        Args:
            digest: the fingerprint of the image and of all that is known of it.

        Raises:
            ResultError: where it was measured with another image of that name, or other things known of it.
        """
        self._look()
        known = self._known((visible(decision), visible(picture)), digest)
        return [method for method in methods if visible(method) not in known]

    def add(self, rows: Iterable[Mapping[str, Any]], digest: str = "") -> None:
        """Write rows of one image; a run that is broken off in between leaves none of them.

        What another run has added meanwhile is not added again.
        """
        together: dict[Key, list[list[table.Cell]]] = {}
        for row in rows:
            cells = [_cell(row.get(key, "")) for key in self.columns]
            together.setdefault((visible(str(cells[0])), visible(str(cells[1]))), []).append(cells)
        with refusal(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                if self._stamp == NOTHING:
                    self._open()
                self._look(locked=True)
                text = ""
                for key, lines in together.items():
                    known = self._known(key, digest)
                    new = [cells for cells in lines if visible(str(cells[2])) not in known]
                    text += written(new, self._of, _mark(digest)) if new else ""
                self._append(text.encode())

    def rows(self, pictures: Collection[str] | None = None) -> list[dict[str, str]]:
        """All rows so far, or those of some images: image by image, in the order in which methods were measured."""
        self._look()
        wanted = None if pictures is None else {visible(name) for name in pictures}
        return [
            dict(zip(self.columns, cells, strict=True))
            for (_, picture), entries in self._entries.items()
            if wanted is None or picture in wanted
            for entry in entries
            for cells in entry.lines
        ]

    def scores(
        self, decision: str, *, model: str = "", of: str = "", pictures: Collection[str] | None = None,
        applying: bool = False,
    ) -> Scores:  # fmt: skip
        """The values of one decision; where an image lacks a method, it is undefined there, and counted.

        Methods in parentheses are baseline maps, and come last.

        Args:
            applying: leave out methods that have no number at all: they do not apply to this decision.
        """
        own = [row for row in self.rows(pictures) if row["decision"] == decision]
        names = tuple(dict.fromkeys(row["picture"] for row in own))
        metrics = [m for m in self.metrics if any(row[m] for row in own)]
        at = {
            (row["method"], row["picture"]): row for row in own if not applying or any(row[m] for m in metrics)
        }  # fmt: skip
        methods = sorted(dict.fromkeys(method for method, _ in at), key=_is_baseline_map)
        values = {
            name: {m: tuple(table.number(at.get((name, p), {}).get(m, "")) for p in names) for m in metrics}
            for name in methods
        }
        nothing = ("",) * len(names), (math.nan,) * len(names)
        return Scores(values, names, *nothing, of, tuple(filter(_is_baseline_map, methods)), model)

    # --- the file ---

    def _open(self) -> None:
        """Begin the table, or make sure that it is of this setting and ends in a whole image."""
        content = _content(self.path)
        if content is None or self._head.startswith(content) or _without_rows(content):
            self._write_card()
            write_text(self.path, self._head.decode())
            self._stamp = _stamp(self.path)
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
        if self._stamp == NOTHING:
            with refusal(self.path), self._alone():
                self._open()
            return
        if not locked:
            with refusal(self.path), self._alone():
                self._look(locked=True)
            return
        content = _content(self.path)
        if content is None:
            raise ResultError(f"{str(self.path)!r} was deleted during the run: start again.")
        self._take(content)

    def _take(self, content: bytes) -> None:
        """Read all of it."""
        if not content.startswith(self._head):
            raise self._otherwise(self._other_columns(content))
        entries, loose = read(content[len(self._head) :], 2, len(self._head))
        last = entries[-1].first if entries else 0
        changed = [number for number, torn in loose.items() if not torn]
        broken = changed or [number for number in loose if number < last]
        if broken or any(len(cells) != len(self.columns) for entry in entries for cells in entry.lines):
            raise ResultError(
                f"Line {broken[0] if broken else entries[0].first} of {str(self.path)!r} was changed, or lines of its "
                "image are missing: delete all lines of that image to measure it again, or the file to start again."
            )
        if any(entry.setting != self._of for entry in entries):
            raise self._otherwise(_differing(_card(self._card), self.setting))
        self._entries = {}
        first: dict[tuple[str, ...], BenchmarkEntry] = {}
        for entry in entries:
            for cells in entry.lines:
                if first.setdefault(cells[:3], entry) is not entry:
                    raise ResultError(
                        f"{entry.where.capitalize()} of {str(self.path)!r} repeat {first[cells[:3]].where}: delete "
                        "one of both."
                    )
            self._entries.setdefault(entry.key, []).append(entry)
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
            self._entries.setdefault(entry.key, []).append(entry)
            self._end = entry.end
        self._stamp = _stamp(self.path)

    def _cut(self) -> None:
        """Take away what is torn at the end."""
        if self.path.stat().st_size > self._end:
            os.truncate(self.path, self._end)
            self._stamp = _stamp(self.path)

    def _lines(self) -> int:
        return 1 + sum(len(entry.lines) for entries in self._entries.values() for entry in entries)

    def _known(self, key: Key, digest: str) -> set[str]:
        """The methods measured on this image."""
        entries = self._entries.get(key, [])
        other = [entry for entry in entries if entry.digest != _mark(digest)]
        if other:
            where = " and ".join(entry.where for entry in entries)
            raise ResultError(
                f"{key[1]!r}, or its line in the index, changed since {where} of {str(self.path)!r} were measured: "
                "delete those lines to measure it again, or choose another folder with --out."
            )
        return {cells[2] for entry in entries for cells in entry.lines}

    def _other_columns(self, content: bytes) -> str:
        line = content.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
        (columns,) = table.rows(line) if line else ([""],)
        if (*columns[: len(KEY)], columns[-1]) != (*KEY, MADE):
            return f"the first line is {shown(line)}"
        return f"metrics: {', '.join(columns[len(KEY) : -1])} → {', '.join(self.metrics)}"

    def _otherwise(self, how: str) -> ResultError:
        return ResultError(
            f"{str(self.path)!r} was made with other settings ({how}). Ask for the same model, metrics and steps, "
            f"choose another folder with --out, or delete {self.path.name} and {self._card.name} to start again."
        )

    @property
    def _card(self) -> Path:
        return self.path.with_suffix(".json")

    def _alone(self) -> Any:
        return alone(self.path.with_name(f".foveal-lock-{self.path.name}"))


def _check_writable(folder: Path) -> None:
    """Raises OSError for a folder that cannot be made or written into; makes none."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


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


def _differing(one: Any, other: Mapping[str, Any]) -> str:
    """ "steps: 28; now: 14, weights"."""
    before = one if isinstance(one, Mapping) else {}
    names = [name for name in {**before, **other} if before.get(name) != other.get(name)]
    return "; ".join(_change(name, before.get(name), other.get(name)) for name in names) or "unknown ones"


def _change(name: str, before: Any, now: Any) -> str:
    plain_words = all(isinstance(value, str | int | float | bool) for value in (before, now))
    return (
        f"{name}: {printable(str(before))} → {printable(str(now))}"
        if plain_words and name != "weights"
        else f"other {name}"
    )


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    return status.st_ino, status.st_size, status.st_mtime_ns


def _without_rows(content: bytes) -> bool:
    """A table of other columns that no number was written to: nothing is lost with it."""
    line, _, rest = content.partition(b"\n")
    return not rest and line.startswith(",".join(KEY).encode() + b",") and line.endswith(b"," + MADE.encode())


def _is_baseline_map(method: str) -> bool:
    return method.startswith("(")


def _mark(digest: str) -> str:
    """As lines have it."""
    return fingerprint(of=digest)[:12] if digest else SOMETHING


def _cell(value: Any) -> table.Cell:
    return value if isinstance(value, str) or value is None else float(value)

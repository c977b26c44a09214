"""Lines of a table of measurements, each of which shows that it is whole, and all of one image together.

    decision,picture,method,share,made
    class,a.png,gradcam,0.5,1f0c9d22.77aa01c2d9e0 1/2 5f3a9c21
    class,a.png,(random),0.1,1f0c9d22.77aa01c2d9e0 2/2 90b1e7d4

`made` says with which setting, of which image, which line of how many, and a checksum of the line.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from foveal.storage import table

MADE = re.compile(r"([0-9a-f]{8})\.([0-9a-f]{12}|-) ([0-9]{1,6})/([0-9]{1,6}) ([0-9a-f]{8})")


class EntryMark(NamedTuple):
    """What the last cell of a line says, but for the checksum."""

    setting: str
    digest: str
    number: int
    rows: int


Line: TypeAlias = "tuple[EntryMark, tuple[str, ...]]"


@dataclass(frozen=True)
class BenchmarkEntry:
    """All lines of one decision about one image.

    Attributes:
        first: the number of its first line in the file, from 1.
        lines: cells of each without the last: decision, picture, method, numbers.
        setting, digest: fingerprints of the setting and of the image.
        end: the place in the file behind it.
    """

    first: int
    lines: tuple[tuple[str, ...], ...]
    setting: str
    digest: str
    end: int

    @property
    def key(self) -> tuple[str, str]:
        return self.lines[0][0], self.lines[0][1]

    @property
    def where(self) -> str:
        """ "lines 3 to 8"."""
        return f"lines {self.first} to {self.first + len(self.lines) - 1}"


def written(lines: Sequence[Sequence[table.Cell]], setting: str, of: str) -> str:
    """The text of one entry."""
    text = ""
    for number, cells in enumerate(lines, 1):
        shown = [visible(cell) if isinstance(cell, str) else cell for cell in cells]
        line = table.line([*shown, f"{setting}.{of} {number}/{len(lines)}"])[:-1]
        text += f"{line} {zlib.crc32(line.encode()):08x}\n"
    return text


def read(content: bytes, first: int, start: int) -> tuple[list[BenchmarkEntry], dict[int, bool]]:
    """The entries of a content that begins with line `first`, and the numbers of the lines that are part of none.

    Of these, whether a writer that was stopped may have left them so: lines of an image that is not whole, or what
    has no end; anything else was changed by somebody.

    Args:
        start: where in its file the content begins.
    """
    *lines, torn = content.split(b"\n")
    ends = [start]
    for line in lines:
        ends.append(ends[-1] + len(line) + 1)
    parsed = [_line(line) for line in lines]
    entries: list[BenchmarkEntry] = []
    loose: dict[int, bool] = {}
    at = 0
    while at < len(parsed):
        entry_lines = _together(parsed, at)
        if entry_lines:
            (made, _), own = entry_lines[0], tuple(cells for _, cells in entry_lines)
            entries.append(BenchmarkEntry(first + at, own, made.setting, made.digest, ends[at + len(entry_lines)]))
        else:
            loose[first + at] = parsed[at] is not None or not lines[at].strip(b"\r") or b"\x00" in lines[at]
        at += max(1, len(entry_lines))
    return entries, {**loose, **({first + len(lines): True} if torn else {})}


def visible(text: str) -> str:
    r"""Text on one line in characters that can be seen, one to one: a line end is \n, a backslash two."""
    return "".join(
        character
        if character.isprintable() and character != "\\"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _line(line: bytes) -> Line | None:
    """What a line holds; None where it is not as it was written."""
    try:
        text = line.decode()
        (cells,) = table.rows(text)
    except ValueError:
        return None
    match = MADE.fullmatch(cells[-1])
    if match is None or text[-9:] != f" {zlib.crc32(text[:-9].encode()):08x}":
        return None
    return EntryMark(match[1], match[2], int(match[3]), int(match[4])), tuple(cells[:-1])


def _together(parsed: Sequence[Line | None], at: int) -> list[Line]:
    """The lines from `at` on that are all those of one image; none where one is missing."""
    together: list[Line] = []
    for number, line in enumerate(parsed[at : at + _count(parsed[at])], 1):
        if line is None or line[0].number != number or (together and not _alike(together[0], line)):
            return []
        together.append(line)
    return together if together and len(together) == together[0][0].rows else []


def _count(line: Line | None) -> int:
    return line[0].rows if line else 0


def _alike(a: Line, b: Line) -> bool:
    return a[1][:2] == b[1][:2] and (a[0].setting, a[0].digest, a[0].rows) == (b[0].setting, b[0].digest, b[0].rows)

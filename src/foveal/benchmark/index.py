"""What is known of the photos in a folder: index.csv.

It has a line for each photo: `file`, and as far as known `target` (a class by number, name or synonym; `class_index`
is the same), `boxes` ([[x0, y0, x1, y1], …] in the photo's pixels) and `mask` (an image of the photo's size, not 0 on
the object). Other columns are not read.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from foveal.errors import ImageError
from foveal.images import pictures_in
from foveal.metrics.placement import Box
from foveal.storage.reading import DAMAGE, damage, read_bytes, reason

LARGEST = 2**30
COLUMNS = ("file", "target", "class_index", "boxes", "mask")


@dataclass(frozen=True, eq=False)
class Shot:
    """A photo and what is known of it.

    Attributes:
        target: None is the predicted class.
        name: tells it from all others.
        where: the line that says so: "line 3 of 'index.csv', a/jay.jpg".
    """

    path: Path
    target: str | int | None = None
    boxes: Sequence[Box] | None = None
    mask: Path | None = None
    name: str = ""
    where: str = ""


def shots(folder: Path, index: Path | None = None) -> list[Shot]:
    """The photos of a folder, with what the index says of them.

    Raises:
        ImageError: for an index that cannot be read; it says in which line.
    """
    if not is_there(folder) and not folder.is_dir():
        raise ImageError(f"There is no folder {str(folder)!r}.")
    index = index or folder / "index.csv"
    if not index.exists():
        return [Shot(path, name=path.relative_to(folder).as_posix()) for path in pictures_in([folder])]
    listed = [_shot(folder, index, line, row) for line, row in _rows(index)]
    if not listed:
        raise ImageError(f"{str(index)!r} lists no photos.")
    return _told_apart(listed)


def unlisted(folder: Path, listed: Sequence[Shot]) -> list[Path]:
    """Photos of the folder that its index does not name, neither as a photo nor as a mask."""
    named = {path.resolve() for shot in listed for path in (shot.path, shot.mask) if path and is_there(path)}
    return [path for path in pictures_in([folder]) if path.resolve() not in named]


def unknown_columns(folder: Path, index: Path | None = None) -> str:
    """ "'index.csv' has the columns file, label, bbox", where some are not read; "" where all are, or there is none."""
    index = index or folder / "index.csv"
    if not index.exists():
        return ""
    columns, _ = _read(index)
    return f"{str(index)!r} has the columns {', '.join(columns)}" if set(columns) - set(COLUMNS) else ""


def untargeted(folder: Path, index: Path | None = None) -> bool:
    """Whether there is an index, and it has no column of targets."""
    index = index or folder / "index.csv"
    return index.exists() and not {"target", "class_index"} & set(_read(index)[0])


def is_there(path: Path) -> bool:
    """Whether the path is a file; False for what is no name of a file at all."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def _rows(index: Path) -> list[tuple[int, dict[str, str]]]:
    """Each row by its columns, with the number of the line it ends in."""
    return _read(index)[1]


def _read(index: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    reader = csv.reader(io.StringIO(_text(index), newline=""), strict=True)
    head, numbered = [], []
    try:
        head = [name.strip() for name in next(reader, [])]
        if "file" not in head or len(set(head)) < len(head):
            raise ImageError(
                f"Line 1 of {str(index)!r} must name each column once, separated by commas; one column must be `file`; "
                f"it names {', '.join(head)[:200] or 'nothing'}."
            )
        for row in reader:
            if row and len(row) != len(head) and (len(row) < len(head) or any(row[len(head) :])):
                raise ImageError(
                    f"Line {reader.line_num} of {str(index)!r} has {len(row)} cells, but its columns are {len(head)}: "
                    f"{', '.join(head)}."
                )
            if any(cell.strip() for cell in row):
                numbered.append((reader.line_num, dict(zip(head, row, strict=False))))
    except csv.Error as error:
        raise ImageError(f"Cannot read line {reader.line_num} of {str(index)!r}: {reason(error)}.") from error
    return head, numbered


def _text(index: Path) -> str:
    with damage(f"Cannot read {str(index)!r}", ImageError):
        content = read_bytes(index, most=LARGEST)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ImageError(f"Line {line} of {str(index)!r} is not UTF-8 text: save the file as UTF-8.") from error


def _shot(folder: Path, index: Path, line: int, row: dict[str, str]) -> Shot:
    where = f"line {line} of {str(index)!r}"
    try:
        boxes = _boxes(row["boxes"]) if row.get("boxes", "").strip() else None
    except DAMAGE as error:
        raise ImageError(f"Cannot read the boxes in {where}: write [[x0, y0, x1, y1], …] ({reason(error)}).") from error
    target = row.get("target") or row.get("class_index") or None
    mask = folder / row["mask"] if row.get("mask") else None
    return Shot(folder / row["file"], target, boxes, mask, row["file"], f"{where}, {row['file']}")


def _boxes(cell: str) -> list[Box]:
    """Several boxes, or one without the outer brackets."""
    found = json.loads(cell)
    if not isinstance(found, list):
        raise TypeError("this is no list")
    if found and not any(isinstance(box, list) for box in found):
        found = [found]
    return [_box(box) for box in found]


def _box(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = map(float, box) if len(box) == 4 else [math.nan] * 4
    if not (all(map(math.isfinite, (x0, y0, x1, y1))) and x0 < x1 and y0 < y1):
        raise ValueError("a box has four numbers, x0 less than x1 and y0 less than y1")
    return x0, y0, x1, y1


def _told_apart(found: Sequence[Shot]) -> list[Shot]:
    """A photo that is listed again, with another object say, gets a number."""
    seen: dict[str, int] = {}
    named = []
    for shot in found:
        seen[shot.name] = seen.get(shot.name, 0) + 1
        number = f" #{seen[shot.name]}" if seen[shot.name] > 1 else ""
        named.append(replace(shot, name=shot.name + number))
    return named

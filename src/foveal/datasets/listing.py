"""The pictures of a data set as people have them: a folder, a list of files, or a table of paths and labels."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from foveal.datasets.parquet import is_table, read_parquet
from foveal.errors import ImageError, shown
from foveal.images import pictures_in
from foveal.images.folders import is_folder
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.storage.reading import damage, opened, read_bytes, reason

DataSet: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"

PATHS = ("uri", "path", "file", "filename", "image")
"""What the column of paths may be called; the first of these that a table has is read."""
LABELS = ("label", "class", "target", "class_index")
LARGEST = 2**32


@dataclass(frozen=True)
class DataSource:
    """Where pictures are listed.

    Attributes:
        kind: "folder", "list" or "table".
        root: the folder that names are below.
        said: what tells it from another source, as text: a folder's own path, of a list or a table its fingerprint.
    """

    kind: str
    root: Path
    said: str


def source_of(pictures: DataSet) -> DataSource:
    """Where these pictures are listed; a folder is not looked into.

    Raises:
        ImageError: for what is none.
    """
    if isinstance(pictures, str | os.PathLike):
        path = Path(os.fspath(pictures))
        if is_folder(path):
            return DataSource("folder", path.resolve(), str(path.resolve()))
        if is_table(path):
            with damage(f"Cannot read the table {str(path)!r}", ImageError):
                return DataSource("table", path.resolve().parent, file_fingerprint(path))
        pictures = [path]
    if not isinstance(pictures, list | tuple) or not all(isinstance(one, str | os.PathLike) for one in pictures):
        raise ImageError(
            f"Cannot explain {shown(pictures)} as a data set: give a folder, a list of files, or a .csv or .parquet "
            "file with a column of paths."
        )
    names = [os.fspath(one) for one in pictures]
    return DataSource("list", Path.cwd(), fingerprint(names=names))


def listed(pictures: DataSet, source: DataSource) -> list[tuple[str, str | None]]:
    """Each picture, by its path below the source's root, with its label if there is one; sorted by path.

    The label of a picture in a folder is the folder below the root that it lies in, where every picture lies in one.
    Pictures that a list names more than once are listed once; rows of a table stay as they are.

    Raises:
        ImageError: for a folder without pictures, or a table that cannot be read.
    """
    if source.kind == "table":
        return sorted(_rows(Path(os.fspath(pictures))), key=lambda row: (row[0], row[1] or ""))  # type: ignore[arg-type]
    if source.kind == "folder":
        names = [path.relative_to(source.root).as_posix() for path in pictures_in([source.root])]
        labeled = all("/" in name for name in names)
        return sorted((name, name.partition("/")[0] if labeled else None) for name in names)
    each = [pictures] if isinstance(pictures, str | os.PathLike) else pictures
    files = pictures_in([Path(os.fspath(one)) for one in each])
    return [(name, None) for name in sorted({path.as_posix() for path in files})]


def _rows(table: Path) -> list[tuple[str, str | None]]:
    where = f"Cannot read the table {str(table)!r}"
    with damage(where, ImageError):
        columns = _parquet(table) if table.suffix.casefold() == ".parquet" else _csv(table)
    paths = next((name for name in PATHS if name in columns), None)
    if paths is None:
        raise ImageError(
            f"{where}: none of its columns is called {', '.join(PATHS[:-1])} or {PATHS[-1]}; it has "
            f"{', '.join(columns)[:200] or 'none'}."
        )
    labels = next((name for name in LABELS if name in columns), None)
    rows = []
    for number, path in enumerate(columns[paths], 1):
        if not path:
            raise ImageError(f"{where}: row {number} has no path in the column {paths!r}.")
        label = columns[labels][number - 1] if labels else None
        rows.append((str(path), None if label in (None, "") else str(label)))
    return rows


def _parquet(table: Path) -> dict[str, list[Any]]:
    with opened(table) as file:
        content = read_parquet(file)
    known = [name for name in content.column_names if name in (*PATHS, *LABELS)]
    read = {name: content.column(name).to_pylist() for name in known}
    return read if any(name in read for name in PATHS) else {name: [] for name in content.column_names}


def _csv(table: Path) -> dict[str, list[Any]]:
    text = read_bytes(table, most=LARGEST).decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        rows = [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {reason(error)}") from error
    wrong = next((row for row in rows if len(row) != len(head)), None)
    if wrong is not None:
        raise ValueError(f"the row {shown(','.join(wrong))} has {len(wrong)} cells, and its columns are {len(head)}")
    return {name: [row[k] for row in rows] for k, name in enumerate(head)}

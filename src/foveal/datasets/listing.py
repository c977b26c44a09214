"""The pictures of a data set as people have them: a folder, a list of files, or a table of paths and labels."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from foveal.datasets.columns import LABELS, PATHS
from foveal.datasets.containers import files_behind, holds_pictures, matching, pictures_inside, saved_files
from foveal.datasets.parquet import is_table, read_parquet
from foveal.datasets.tars import is_tar
from foveal.errors import ImageError, shown
from foveal.images import pictures_in
from foveal.images.folders import is_folder
from foveal.storage.fingerprint import file_fingerprint, fingerprint
from foveal.storage.reading import damage, opened, read_bytes, reason

if TYPE_CHECKING:
    from foveal.datasets.containers import SavedDataSet
    from foveal.datasets.plan import Listed

DataSet: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | SavedDataSet"

LARGEST = 2**32
CANNOT = (
    "give a folder, a list of files, a .csv or .parquet file with a column of paths or of images, .tar files as of "
    "WebDataset, or a data set of Hugging Face's datasets."
)


@dataclass(frozen=True)
class DataSource:
    """Where pictures are listed.

    Attributes:
        kind: "folder", "list" or "table"; "tar" and "rows" where pictures lie inside of files.
        root: the folder that names are below.
        said: what tells it from another source, as text: a folder's own path, of a list or a table its fingerprint.
        files: those that pictures lie inside of.
    """

    kind: str
    root: Path
    said: str
    files: tuple[Path, ...] = ()


def source_of(pictures: DataSet) -> DataSource:
    """Where these pictures are listed; a folder is not looked into.

    Raises:
        ImageError: for what is none.
    """
    if isinstance(pictures, str | os.PathLike):
        path = Path(os.fspath(pictures))
        if is_folder(path):
            inside = saved_files(path)
            return _inside(inside) if inside else DataSource("folder", path.resolve(), str(path.resolve()))
        pictures = matching(path)
    elif not isinstance(pictures, list | tuple):
        pictures = files_behind(pictures) or pictures
    if not isinstance(pictures, list | tuple) or not all(isinstance(one, str | os.PathLike) for one in pictures):
        raise ImageError(f"Cannot explain {shown(pictures)} as a data set: {CANNOT}")
    names = [os.fspath(one) for one in pictures]
    files = [Path(name) for name in names]
    if files and all(holds_pictures(file) for file in files):
        return _inside(files)
    if len(files) == 1 and is_table(files[0]):
        with damage(f"Cannot read the table {names[0]!r}", ImageError):
            return DataSource("table", files[0].resolve().parent, file_fingerprint(files[0]))
    return DataSource("list", Path.cwd(), fingerprint(names=names))


def listed(pictures: DataSet, source: DataSource) -> Sequence[Listed]:
    """Each picture, by its path below the source's root, with its label if there is one; sorted by path.

    The label of a picture in a folder is the folder below the root that it lies in, where every picture lies in one.
    Pictures that a list names more than once are listed once; rows of a table stay as they are. Those inside of files
    come in the order of these, sorted by path, and in their order there.

    Raises:
        ImageError: for a folder without pictures, or a table that cannot be read.
    """
    if source.files:
        return [row for file in source.files for row in pictures_inside(file, source.root)]
    if source.kind == "table":
        (table,) = pictures if isinstance(pictures, list | tuple) else (pictures,)
        return sorted(_rows(Path(os.fspath(table))), key=lambda row: (row[0], row[1] or ""))
    if source.kind == "folder":
        names = [path.relative_to(source.root).as_posix() for path in pictures_in([source.root])]
        labeled = all("/" in name for name in names)
        return sorted((name, name.partition("/")[0] if labeled else None) for name in names)
    each = matching(Path(os.fspath(pictures))) if isinstance(pictures, str | os.PathLike) else pictures
    files = pictures_in([Path(os.fspath(one)) for one in each])  # type: ignore[union-attr]
    return [(name, None) for name in sorted({path.as_posix() for path in files})]


def _inside(files: Sequence[Path]) -> DataSource:
    """Of files that pictures lie in, told from others by names, sizes and times: they may be too large to be read."""
    with damage(f"Cannot read {str(files[0])!r}" if len(files) == 1 else "Cannot read the data set", ImageError):
        each = sorted({file.resolve() for file in files})
        root = Path(os.path.commonpath([file.parent for file in each]))
        said = [[file.relative_to(root).as_posix(), file.stat().st_size, file.stat().st_mtime_ns] for file in each]
    return DataSource("tar" if is_tar(each[0]) else "rows", root, fingerprint(files=said), tuple(each))


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

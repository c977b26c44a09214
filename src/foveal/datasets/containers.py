"""Files that hold many pictures: which they are, and what is in them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from foveal.datasets.image_tables import ROWS, is_rows, picture_column, rows_of
from foveal.datasets.parquet import read_schema
from foveal.datasets.plan import Inside
from foveal.datasets.tars import is_tar, members
from foveal.errors import ImageError, MissingExtra
from foveal.storage.reading import DAMAGE, damage, opened, read_json

if TYPE_CHECKING:
    from foveal.datasets.plan import Listed

STATE, SPLITS = "state.json", "dataset_dict.json"
"""What `save_to_disk` writes beside the tables of one data set, and beside the folders of several."""
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
MOST = 1_000_000


class SavedDataSet(Protocol):
    """A `datasets.Dataset`."""

    @property
    def cache_files(self) -> Sequence[Any]: ...


def holds_pictures(file: Path) -> bool:
    """Whether pictures lie inside of it: a tar, or a table with a column of images."""
    if is_tar(file):
        return True
    if not is_rows(file):
        return False
    if file.suffix.casefold() != ROWS[0]:
        return True
    with damage(f"Cannot read the table {str(file)!r}", ImageError), opened(file) as content:
        return picture_column(read_schema(content)) is not None


def pictures_inside(file: Path, root: Path) -> Iterator[Listed]:
    """The pictures in a file, in its order: uri, label and place.

    Raises:
        ImageError: where it is damaged.
    """
    name = file.relative_to(root).as_posix()
    if is_tar(file):
        for member, label, start, size in members(file):
            yield f"{name}/{member}", label, Inside(name, start, size)
    else:
        for row, label in enumerate(rows_of(file)):
            yield f"{name}/{row}", label, Inside(name, row)


def matching(path: Path) -> list[Path]:
    """The files that a pattern stands for: "train-{000..099}.tar", "train-*.tar"; any other path alone.

    Raises:
        ImageError: for a pattern that no file matches.
    """
    pattern = str(path)
    if os.path.lexists(path) or not (BRACES.search(pattern) or glob.has_magic(pattern)):
        return [path]
    names = [Path(name) for one in _expanded(pattern) for name in (glob.glob(one) if glob.has_magic(one) else [one])]  # noqa: PTH207
    if not names:
        raise ImageError(f"Cannot read {pattern!r}: no file is called so.")
    return sorted(names)


def saved_files(folder: Path) -> list[Path]:
    """The tables of a data set that was saved with `save_to_disk`; none of any other folder.

    Raises:
        ImageError: for a folder with several data sets.
    """
    if (folder / SPLITS).is_file():
        with damage(f"Cannot read {str(folder / SPLITS)!r}", ImageError):
            splits = [str(folder / str(name)) for name in read_json(folder / SPLITS)["splits"]]
        raise ImageError(f"Cannot explain {str(folder)!r}: it holds several data sets; name one: {', '.join(splits)}.")
    if not (folder / STATE).is_file():
        return []
    with damage(f"Cannot read {str(folder / STATE)!r}", ImageError):
        state = read_json(folder / STATE)
        if state.get("_indices_files"):
            raise ValueError("the data set is a selection; save it once more after flatten_indices()")
        return [folder / str(file["filename"]) for file in state["_data_files"]]


def files_behind(data_set: Any) -> list[Path]:
    """The files that a `datasets.Dataset` is read from; none for what is no such data set.

    Workers, and whoever opens the run later, read the files: what is in memory alone, they could not.

    Raises:
        ImageError: for one that is not as in its files.
    """
    if not all(hasattr(data_set, name) for name in ("cache_files", "features", "save_to_disk")):
        return []
    try:
        files = [Path(file["filename"]) for file in data_set.cache_files]
        whole = getattr(data_set, "_indices", None) is None and sum(len(rows_of(file)) for file in files) == len(
            data_set
        )
    except MissingExtra:
        raise
    except (ImageError, *DAMAGE):
        files, whole = [], False
    if not files or not whole:
        raise ImageError(
            "Cannot explain this data set: it is in memory, or a selection of what its files hold, and each worker "
            "reads files; write it with its save_to_disk('folder'), and give that folder."
        )
    return files


def _expanded(pattern: str) -> list[str]:
    braces = BRACES.search(pattern)
    if not braces:
        return [pattern]
    first, last = int(braces[1]), int(braces[2])
    if not first <= last < first + MOST:
        raise ImageError(f"Cannot read {pattern!r}: give braces as in {{000..099}}.")
    wide = len(braces[1])
    return [
        one
        for number in range(first, last + 1)
        for one in _expanded(f"{pattern[: braces.start()]}{number:0{wide}d}{pattern[braces.end() :]}")
    ]

"""Tables that hold the pictures themselves, as of Hugging Face's `datasets`: Parquet files, and the Arrow files of what
`save_to_disk` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foveal.datasets.columns import LABELS
from foveal.datasets.parquet import arrow
from foveal.errors import ImageError
from foveal.storage.reading import damage, opened

PICTURES = ("image", "img", "picture", "photo", "jpg", "png", "webp")
"""What the column of pictures may be called; the first of these, or else the only one of images."""
ROWS = (".parquet", ".arrow")
FEATURES = b"huggingface"


def is_rows(path: Path) -> bool:
    """Whether a file of this name has rows that may hold pictures."""
    return path.suffix.casefold() in ROWS


def picture_column(schema: Any) -> str | None:
    """The column of a table that holds the files of pictures: as bytes under a usual name, or with their paths.

    Raises:
        ValueError: where several do, and none has a usual name.
    """
    binary = arrow("types")
    names = [
        field.name for field in schema
        if _is_image(field.type)
        or (field.name in PICTURES and (binary.is_binary(field.type) or binary.is_large_binary(field.type)))
    ]  # fmt: skip
    usual = next((name for name in PICTURES if name in names), None)
    if usual is None and len(names) > 1:
        raise ValueError(f"several columns hold images ({', '.join(names)}); call the one that is meant image")
    return usual or (names[0] if names else None)


def rows_of(table: Path) -> list[str | None]:
    """The label of each row of a table that holds pictures, by the name that the data set has for it.

    Raises:
        ImageError: for a table that is damaged, or holds none.
    """
    with damage(f"Cannot read the table {str(table)!r}", ImageError), PictureCells.opened(table) as cells:
        label = next((name for name in LABELS if name in cells.schema.names), None)
        if label is None:
            return [None] * len(cells)
        names = _class_names(cells.schema, label)
        return [_named(value, names) for value in cells.column(label)]


class PictureCells:
    """The pictures of an open table, by their rows; those of one group of rows are in memory."""

    def __init__(self, schema: Any, ends: Sequence[int], content: Any) -> None:
        self.schema, self._ends, self._content = schema, ends, content
        column = picture_column(schema)
        if column is None:
            raise ValueError("none of its columns holds images")
        self._column, self._group = column, -1
        self._values: Any = None

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[PictureCells]:
        """The cells of a Parquet file or an Arrow file."""
        if path.suffix.casefold() == ROWS[0]:
            with opened(path) as file, arrow("parquet").ParquetFile(file, page_checksum_verification=True) as content:
                facts = content.metadata
                sizes = [facts.row_group(k).num_rows for k in range(facts.num_row_groups)]
                yield cls(content.schema_arrow, _ends(sizes), content)
        else:
            pa = arrow()
            with opened(path), pa.memory_map(str(path)) as mapped:
                with arrow("ipc").open_stream(mapped) as stream:
                    schema, batches = stream.schema, list(stream)  # of pages that are read when they are looked at
                yield cls(schema, _ends([batch.num_rows for batch in batches]), batches)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, row: int) -> bytes:
        """The bytes of the picture in a row.

        Raises:
            ValueError: where there is none.
        """
        if not 0 <= row < len(self):
            raise ValueError(f"the table has {len(self)} rows now")
        group = next(k for k, end in enumerate(self._ends) if row < end)
        if group != self._group:
            self._values, self._group = self._read(group, self._column), group
        cell = self._values[row - (self._ends[group - 1] if group else 0)].as_py()
        content = cell.get("bytes") if isinstance(cell, Mapping) else cell
        if content is None:
            path = cell.get("path") if isinstance(cell, Mapping) else None
            raise ValueError(f"its bytes are not in the table, only the path {path!r}" if path else "it is empty")
        return bytes(content)

    def column(self, name: str) -> Iterator[Any]:
        """All values of a column."""
        for group in range(len(self._ends)):
            yield from self._read(group, name).to_pylist()

    def _read(self, group: int, name: str) -> Any:
        if isinstance(self._content, list):
            return self._content[group].column(name)
        return self._content.read_row_group(group, columns=[name], use_threads=False).column(name)


def _is_image(kind: Any) -> bool:
    """Whether a column of this type is one of images, as `datasets` keeps them: {bytes, path}."""
    types = arrow("types")
    return bool(types.is_struct(kind)) and {kind.field(k).name for k in range(kind.num_fields)} == {"bytes", "path"}


def _ends(sizes: Sequence[int]) -> list[int]:
    ends, total = [], 0
    for size in sizes:
        total += size
        ends.append(total)
    return ends


def _class_names(schema: Any, column: str) -> Sequence[str]:
    """The names of classes that are kept as numbers, as `datasets` writes them beside the table."""
    said = json.loads((schema.metadata or {}).get(FEATURES, b"{}"))
    names = said.get("info", {}).get("features", {}).get(column, {}).get("names")
    return [str(name) for name in names] if isinstance(names, list) else ()


def _named(value: Any, names: Sequence[str]) -> str | None:
    if value in (None, "") or (names and value == -1):  # -1: `datasets` for a test set without labels
        return None
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return str(value)

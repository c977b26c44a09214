"""Tables as Parquet files: made in memory, so that they are written whole, and read within bounds."""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from foveal.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def arrow(part: str = "") -> Any:
    """pyarrow, or a part of it: "parquet".

    Raises:
        MissingExtra: where it is not installed.
    """
    try:
        return import_module(f"pyarrow.{part}" if part else "pyarrow")
    except ImportError as error:
        raise MissingExtra(
            "a run keeps its results in Parquet files, which need pyarrow, and it is not installed: "
            "pip install 'foveal[runs]'"
        ) from error


def parquet_bytes(table: Any) -> bytes:
    """A pyarrow table as one file in memory, the same bytes for the same table.

    Pages carry checksums, so that damage is seen when they are read.
    """
    sink = io.BytesIO()
    arrow("parquet").write_table(
        table, sink, compression="zstd", row_group_size=max(1, table.num_rows), write_page_checksum=True
    )
    return sink.getvalue()


def read_parquet(file: BinaryIO, columns: Sequence[str] | None = None) -> Any:
    """The table in an open file, or some of its columns; a page that was changed raises OSError."""
    parquet = arrow("parquet")
    with parquet.ParquetFile(file, page_checksum_verification=True) as content:
        return content.read(columns=columns, use_threads=False)


def read_schema(file: BinaryIO) -> Any:
    """The columns of an open file."""
    with arrow("parquet").ParquetFile(file) as content:
        return content.schema_arrow


def read_facts(file: BinaryIO) -> tuple[Mapping[bytes, bytes], int]:
    """What the end of an open file says of it, and how many rows it has."""
    with arrow("parquet").ParquetFile(file) as content:
        return dict(content.schema_arrow.metadata or {}), content.metadata.num_rows


def is_table(path: Path) -> bool:
    """Whether a file of this name is a table of pictures."""
    return path.suffix.casefold() in (".csv", ".parquet")

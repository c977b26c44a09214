"""Parts: what became of the pictures of one shard, a row each, as a Parquet file that is whole or not there.

    part-00012.parquet    id, uri, label, … numbers …, notes, error, map, scale, shape

A part says of itself which run and which shard it is of. It holds no times and no names of machines: the same shard
gives the same bytes wherever, and however often, it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.datasets.packing import Bits, pack
from foveal.datasets.parquet import arrow, parquet_bytes, read_facts
from foveal.errors import ResultError
from foveal.storage.atomic import write_bytes
from foveal.storage.reading import DAMAGE, opened

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from foveal.datasets.plan import Item

OF, SHARD = b"foveal.run", b"foveal.shard"
NAME = re.compile(r"part-(\d{5,})\.parquet")


@dataclass(frozen=True)
class PartLayout:
    """The columns of a part beside id, uri, label, notes and error.

    Attributes:
        texts, numbers: names of columns, numbers as float32.
        maps: layers whose maps are kept.
        bits: how each cell of a map is kept, and each value of a vector.
        vectors: names of columns with several numbers a picture.
    """

    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    maps: tuple[str, ...]
    bits: Bits = "float16"
    vectors: tuple[str, ...] = ()

    def columns(self, layer: str) -> tuple[str, str, str]:
        """The columns of a layer: its map, scale and shape; with the layer's name where there are several."""
        end = f"_{layer}" if len(self.maps) > 1 else ""
        return f"map{end}", f"scale{end}", f"shape{end}"

    @property
    def facts(self) -> tuple[str, ...]:
        """All columns that hold no maps and no vectors."""
        return ("id", "uri", "label", *self.texts, *self.numbers, "notes", "error")

    def write(self, folder: Path, shard: int, of: str, items: Sequence[Item], rows: Sequence[Row]) -> Sealed:
        """Write a part whole or not at all, on the disk when this returns.

        Args:
            of: the fingerprint of the run.

        Raises:
            ResultError: where it cannot be written.
        """
        content = parquet_bytes(_table(shard, of, items, rows, self))
        write_bytes(folder / part_name(shard), content, ResultError)
        return Sealed(shard, len(rows), sum(row.error is not None for row in rows), sha256(content).hexdigest())


@dataclass(frozen=True)
class Row:
    """What became of one picture; what is left out is null.

    Attributes:
        values: text or a number by column, or what else its part can keep.
        maps: layer -> (h, w), or along any axes.
        notes: what a reader must know of it.
        error: why there is nothing of it.
        vectors: by column, (c,).
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    maps: Mapping[str, ArrayLike] = field(default_factory=dict)
    notes: Sequence[str] = ()
    error: str | None = None
    vectors: Mapping[str, ArrayLike] = field(default_factory=dict)


@dataclass(frozen=True)
class Sealed:
    """A part that lies in its folder under its name.

    Attributes:
        shard: of the plan.
        rows, failed: how many pictures, and how many of them with an error.
        digest: the SHA-256 of the file; "" where it was not read.
    """

    shard: int
    rows: int
    failed: int
    digest: str = ""


def scale_of(vector: str) -> str:
    """The column of what the numbers of a vector are to be multiplied by."""
    return f"{vector}_scale"


def part_name(shard: int) -> str:
    """ "part-00012.parquet"."""
    return f"part-{shard:05d}.parquet"


def part_files(folder: Path) -> Iterator[tuple[int, Path]]:
    """The parts that lie in a folder, by their shards."""
    for path in sorted(folder.iterdir()):
        if match := NAME.fullmatch(path.name):
            yield int(match[1]), path


def sealed_parts(folder: Path, of: str, sizes: Mapping[int, int]) -> dict[int, Sealed]:
    """The parts of this run that are whole; what is damaged is not among them, and will be made again.

    Args:
        sizes: shard -> how many pictures it has.

    Raises:
        ResultError: for a part of another run.
    """
    parts = {}
    for shard, path in part_files(folder):
        try:
            with opened(path) as file:
                facts, rows = read_facts(file)
        except DAMAGE:
            continue
        if facts.get(OF) != of.encode():
            raise ResultError(
                f"Cannot add to the run in {str(folder)!r}: {path.name} there is of another run; name another folder."
            )
        if facts.get(SHARD) == str(shard).encode() and rows == sizes.get(shard):
            parts[shard] = Sealed(shard, rows, int(facts.get(b"foveal.failed", b"0")))
    return parts


def _table(shard: int, of: str, items: Sequence[Item], rows: Sequence[Row], layout: PartLayout) -> Any:
    pa = arrow()
    columns: dict[str, Any] = {
        "id": pa.array([item.id for item in items], pa.int64()),
        "uri": pa.array([item.uri for item in items], pa.string()),
        "label": pa.array([item.label for item in items], pa.string()),
    }
    for names, kind in ((layout.texts, pa.string()), (layout.numbers, pa.float32())):
        columns |= {name: pa.array([row.values.get(name) for row in rows], kind) for name in names}
    columns["notes"] = pa.array(["\n".join(row.notes) or None for row in rows], pa.string())
    columns["error"] = pa.array([row.error for row in rows], pa.string())
    for layer in layout.maps:
        packed = [pack(row.maps[layer], layout.bits) if layer in row.maps else (None, None, None) for row in rows]
        kinds = (pa.binary(), pa.float32(), pa.list_(pa.int32()))
        for k, (name, kind) in enumerate(zip(layout.columns(layer), kinds, strict=True)):
            columns[name] = pa.array([cell[k] for cell in packed], kind)
    for name in layout.vectors:
        packed = [pack(row.vectors[name], layout.bits) if name in row.vectors else (None, None, None) for row in rows]
        columns[name] = pa.array([cell[0] for cell in packed], pa.binary())
        columns[scale_of(name)] = pa.array([cell[1] for cell in packed], pa.float32())
    failed = sum(row.error is not None for row in rows)
    said = {OF: of, SHARD: str(shard), b"foveal.failed": str(failed), b"foveal.bits": layout.bits}
    return pa.table(columns).replace_schema_metadata(said)

"""The parts of a run as columns, their maps as tensors, and their classes in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foveal.datasets.packing import DTYPES, unpack_rows
from foveal.datasets.parquet import arrow, read_parquet
from foveal.datasets.parts import OF, PartLayout, part_files, part_name, scale_of
from foveal.datasets.plan import PLAN
from foveal.errors import ResultError, counted
from foveal.results.result import finite
from foveal.runs.record import RunManifest
from foveal.storage.reading import Damaged, damage, opened

if TYPE_CHECKING:
    from typing import BinaryIO

    from jaxtyping import Float32
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.storage.manifest import Saved


def read_table(saved: Saved, record: RunManifest) -> dict[str, NDArray[Any]]:
    """Every column but those of maps, of all parts there are, by the numbers of the pictures.

    Raises:
        ResultError: for a part that was changed, or is of another run.
    """
    listed = record.files or {}
    with saved.open(PLAN):  # made of nothing else here: it must be as it was written
        pass
    names = {path.name for _, path in part_files(saved.folder)} | {*listed} - {PLAN}
    tables = []
    for name in sorted(names):
        with saved.open(name) if name in listed else opened(saved.folder / name) as file:
            tables.append(_facts(file, record))
    return _columns(tables, record.layout)


def read_maps(folder: Path, record: RunManifest, ids: Iterable[int], layers: Sequence[str]) -> list[dict[str, Tensor]]:
    """The maps of these pictures, layer by layer; none of one with an error. Each part is read once.

    Raises:
        ResultError: for a part that was changed.
    """
    layout, numbers = record.layout, np.fromiter((int(id) for id in ids), np.int64)
    each: list[dict[str, Tensor]] = [{} for _ in numbers]
    wanted = [name for layer in layers for name in layout.columns(layer)]
    for places, at, shard in _by_part(numbers, record.shard):
        with _rows(folder, shard, at, wanted, "the maps") as part:
            for layer in layers:
                content, scale, shape = (part.column(name) for name in layout.columns(layer))
                cells, shapes, scales = _objects(content), _objects(shape), scale.to_numpy()
                known = [k for k, values in enumerate(cells) if values is not None]
                for size in {tuple(shapes[k]) for k in known}:
                    alike = [k for k in known if tuple(shapes[k]) == size]
                    maps = torch.from_numpy(unpack_rows([*cells[alike]], scales[alike], size, layout.bits))
                    for k, map in zip(alike, maps, strict=True):
                        each[places[k]][layer] = map
    return each


def read_vectors(
    folder: Path, record: RunManifest, ids: Iterable[int], name: str
) -> Float32[NDArray[np.float32], "n c"]:
    """The vectors of these pictures in a column. Each part is read once.

    Raises:
        ResultError: for a part that was changed, and for pictures that have none.
    """
    numbers = np.fromiter((int(id) for id in ids), np.int64)
    missing, values = 0, np.empty((0, 0), np.float32)
    for places, at, shard in _by_part(numbers, record.shard):
        with _rows(folder, shard, at, [name, scale_of(name)], name) as part:
            content = _objects(part.column(name))
            missing += sum(known is None for known in content.tolist())
            if missing:
                continue
            size = len(content[0]) // DTYPES[record.bits].itemsize
            if not values.size:
                values = np.empty((len(numbers), size), np.float32)
            values[places] = unpack_rows([*content], part.column(scale_of(name)).to_numpy(), (size,), record.bits)
    if missing or not len(numbers):
        raise ResultError(
            f"{counted(missing, 'row')} of {len(numbers)} have no {name}: take those that have, run.explained."
            if len(numbers)
            else "There are no rows."
        )
    return values


def _by_part(numbers: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int64], int]]:
    """Which of these pictures a part has, at which of its rows they are, and its shard."""
    shards = numbers // size
    for shard in dict.fromkeys(shards.tolist()):
        places = np.flatnonzero(shards == shard)
        yield places, numbers[places] - shard * size, shard


@contextmanager
def _rows(folder: Path, shard: int, at: NDArray[np.int64], columns: Sequence[str], what: str) -> Iterator[Any]:
    """Some columns of rows of a part; ResultError for one that was changed, also where that shows only inside."""
    path = folder / part_name(shard)
    with damage(f"Cannot read {what} in {str(path)!r}", ResultError), opened(path) as file:
        yield read_parquet(file, columns).take(at)


def _objects(column: Any) -> NDArray[Any]:
    """A column as an array of its values, None where there is none."""
    values = np.empty(len(column), object)
    values[:] = column.to_pylist()
    return values


def by_layer(record: RunManifest, row: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """The numbers of a row that are about one map, by its layer: columns that end with its name."""
    measured: dict[str, dict[str, list[float]]] = {}
    for column in record.numbers:
        ends = [layer for layer in record.layers if column.endswith(f"_{layer}")]
        if ends:
            layer = max(ends, key=len)
            measured.setdefault(layer, {})[column.removesuffix(f"_{layer}")] = [float(row[column])]
    return measured


def class_rows(table: Mapping[str, NDArray[Any]], by: str, numbers: Sequence[str]) -> list[dict[str, Any]]:
    """How each value of the column `by` came out, in the order of their names."""
    values, rows = table[by], []
    for name in sorted({value for value in values if value is not None}, key=str):
        here = np.flatnonzero(values == name)
        predicted = [table["predicted"][i] for i in here if table["error"][i] is None]
        known = by == "label" and any(one is not None for one in predicted)
        others = Counter(one for one in predicted if one not in (name, None)).most_common(1)
        rows.append({
            by: name,
            "pictures": len(here),
            "failed": len(here) - len(predicted),
            "right": float(np.mean([one == name for one in predicted])) if known else None,
            "confused_with": others[0][0] if others else None,
            **{f"mean_{number}": _mean(table[number][here]) for number in numbers},
        })  # fmt: skip
    return list(finite(rows))


def _facts(file: BinaryIO, record: RunManifest) -> Any:
    table = read_parquet(file, record.layout.facts)
    if (table.schema.metadata or {}).get(OF) != record.of.encode():
        raise Damaged("Cannot load the run: one of its parts is of another run.")
    return table


def _columns(tables: Sequence[Any], layout: PartLayout) -> dict[str, NDArray[Any]]:
    """Every column as an array: text as objects, numbers that there are not as NaN."""
    kinds: dict[str, Any] = {"id": np.int64, **dict.fromkeys(layout.numbers, np.float32)}
    if not tables:
        return {name: np.empty(0, kinds.get(name, object)) for name in layout.facts}
    whole = arrow().concat_tables(tables).sort_by("id")
    columns = {}
    for name in layout.facts:
        column = whole.column(name)
        values = column.to_pylist() if kinds.get(name, object) is object else column.to_numpy()
        columns[name] = np.asarray(values, kinds.get(name, object))
    return columns


def _mean(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else float("nan")

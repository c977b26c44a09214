"""The parts of a run as columns, their maps as tensors, and their classes in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foveal.datasets.packing import DTYPES, unpack
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
    layout, by_part = record.layout, dict[int, list[int]]()
    numbers = [int(id) for id in ids]
    for place, id in enumerate(numbers):
        by_part.setdefault(id // record.shard, []).append(place)
    each: list[dict[str, Tensor]] = [{} for _ in numbers]
    wanted = [name for layer in layers for name in layout.columns(layer)]
    for shard, places in by_part.items():
        path = folder / part_name(shard)
        with damage(f"Cannot read the maps in {str(path)!r}", ResultError), opened(path) as file:
            part = read_parquet(file, wanted)
            for layer in layers:
                content, scale, shape = (part.column(name) for name in layout.columns(layer))
                for place in places:
                    at = numbers[place] - shard * record.shard
                    if (cells := content[at].as_py()) is not None:
                        map = unpack(cells, scale[at].as_py(), shape[at].as_py(), layout.bits)
                        each[place][layer] = torch.from_numpy(map)
    return each


def read_vectors(
    folder: Path, record: RunManifest, ids: Iterable[int], name: str
) -> Float32[NDArray[np.float32], "n c"]:
    """The vectors of these pictures in a column. Each part is read once.

    Raises:
        ResultError: for a part that was changed, and for pictures that have none.
    """
    numbers = [int(id) for id in ids]
    kept: dict[int, NDArray[Any]] = {}
    for shard in sorted({id // record.shard for id in numbers}):
        path = folder / part_name(shard)
        with damage(f"Cannot read {name} in {str(path)!r}", ResultError), opened(path) as file:
            part = read_parquet(file, [name, scale_of(name)])
            content, scale = (part.column(column).to_pylist() for column in (name, scale_of(name)))
            for at, values in enumerate(content):
                if values is not None:
                    shape = (len(values) // DTYPES[record.bits].itemsize,)
                    kept[shard * record.shard + at] = unpack(values, scale[at], shape, record.bits)
    missing = sum(id not in kept for id in numbers)
    if missing or not numbers:
        raise ResultError(
            f"{counted(missing, 'row')} of {len(numbers)} have no {name}: take those that have, run.explained."
            if numbers
            else "There are no rows."
        )
    return np.stack([kept[id] for id in numbers])


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

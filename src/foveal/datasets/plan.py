"""What a run works through: every picture with a number of its own, divided into shards once and for all.

plan = Plan.of(listed(Path("photos/")), root=Path("photos/"))
plan.shards                 # 98
plan.items(12)              # the 512 pictures of shard 12
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from foveal.datasets.parquet import arrow, parquet_bytes, read_parquet
from foveal.errors import FovealError, ImageError, ResultError
from foveal.storage.atomic import write_bytes
from foveal.storage.fingerprint import fingerprint
from foveal.storage.reading import damage, opened

if TYPE_CHECKING:
    from typing import BinaryIO

Listed: TypeAlias = "tuple[str, str | None] | tuple[str, str | None, Inside]"
"""The uri of a picture, its label, and where it lies if it is no file of its own."""
PLAN = "plan.parquet"
INSIDE = ("file", "start", "size")
LARGEST_SHARD = 512
"""Pictures; what is lost when a process is killed is no more than a shard."""
SHARDS = 64
"""A small data set is divided into about so many, so that several processes have something to do."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Where a picture lies in a file.

    Attributes:
        file: with slashes, below the root of the plan; or from "/" on.
        start: of a tar, the byte that it starts at; of a table, its row.
        size: of a tar, how many bytes; of a table 0.
    """

    file: str
    start: int
    size: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """A picture of a data set.

    Attributes:
        id: its number, from 0.
        uri: its file, with slashes, below the root of the plan; or from "/" on.
        label: its class, as the data set names it; None where it does not.
        inside: where it lies in a file, if it is none of its own; its uri then is that file's, and its name there.
    """

    id: int
    uri: str
    label: str | None = None
    inside: Inside | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """The pictures of a run in order, in shards of `size`; the last shard may have fewer."""

    everything: Sequence[Item]
    root: Path
    size: int

    @classmethod
    def of(cls, listed: Iterable[Listed], root: Path, *, batch: int = 1, shard: int = 0) -> Plan:
        """The plan of pictures with their labels, in the order in which they are listed.

        Args:
            batch: pictures that go through the network together; a shard is a multiple of it.
            shard: pictures in each; 0 chooses by the size of the data set alone.

        Raises:
            ImageError: for a data set without pictures.
        """
        items = [Item(number, *row) for number, row in enumerate(listed)]
        if not items:
            raise ImageError("There are no images to explain: the list is empty.")
        wanted = shard or min(LARGEST_SHARD, math.ceil(len(items) / SHARDS))
        return cls(items, root, math.ceil(wanted / batch) * batch)

    def __len__(self) -> int:
        return len(self.everything)

    @property
    def shards(self) -> int:
        """How many there are."""
        return math.ceil(len(self) / self.size)

    def items(self, shard: int) -> Sequence[Item]:
        """The pictures of a shard."""
        return self.everything[shard * self.size : (shard + 1) * self.size]

    def slice(self, number: int, count: int) -> list[int]:
        """The shards of part `number` of `count`, from 1: every count-th, so that parts take equally long.

        Raises:
            FovealError: where there is no such part.
        """
        if not 1 <= number <= count:
            raise FovealError(f"There is no part {number}/{count} of a run: give a number from 1 to {max(1, count)}.")
        return list(range(number - 1, self.shards, count))

    @cached_property
    def digest(self) -> str:
        """Of names, labels, places and shards, wherever the pictures lie."""
        return fingerprint(items=[_told(item) for item in self.everything], size=self.size)

    def save(self, folder: Path) -> None:
        """Write plan.parquet: shard, id, uri, label; of pictures inside of files also file, start and size."""
        write_bytes(folder / PLAN, parquet_bytes(self._table()), ResultError)

    @classmethod
    def load(cls, folder: Path, root: Path, size: int) -> Plan:
        """The plan that a folder holds.

        Raises:
            ResultError: where it is damaged, or not there.
        """
        with damage(f"Cannot read the plan {str(folder / PLAN)!r}", ResultError), opened(folder / PLAN) as file:
            return cls.read(file, root, size)

    @classmethod
    def read(cls, file: BinaryIO, root: Path, size: int) -> Plan:
        """The plan in an open file."""
        table = read_parquet(file)
        columns = [table.column(name).to_pylist() for name in ("id", "uri", "label")]
        places: Iterable[Inside | None] = repeat(None, len(columns[0]))
        if INSIDE[0] in table.column_names:
            places = starmap(Inside, zip(*(table.column(name).to_pylist() for name in INSIDE), strict=True))
        return cls([Item(*row) for row in zip(*columns, places, strict=True)], root, size)

    def _table(self) -> Any:
        pa = arrow()
        items = self.everything
        columns = {
            "shard": pa.array([item.id // self.size for item in items], pa.int32()),
            "id": pa.array([item.id for item in items], pa.int64()),
            "uri": pa.array([item.uri for item in items], pa.string()),
            "label": pa.array([item.label for item in items], pa.string()),
        }
        places = [item.inside for item in items if item.inside]
        if places:  # of all, or of none
            for name, kind in zip(INSIDE, (pa.string(), pa.int64(), pa.int64()), strict=True):
                columns[name] = pa.array([getattr(place, name) for place in places], kind)
        return pa.table(columns)


def _told(item: Item) -> list[Any]:
    place = [item.inside.file, item.inside.start, item.inside.size] if item.inside else []
    return [item.uri, item.label, *place]

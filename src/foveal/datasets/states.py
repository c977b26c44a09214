"""Parts as sealed states, for what foveal alone reads: they need no pyarrow, and keep any plain data exactly.

    part-1f0c9d2277aa01c2.pt     the pictures of a shard by name and label, and what became of each

A part bears a digest of its content as its name, and no two parts are alike, so that programs that share a folder never
touch each other's parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from foveal.datasets.parts import Row, Sealed
from foveal.errors import ResultError
from foveal.storage.atomic import write_bytes
from foveal.storage.checkpoint import load_state, state_bytes
from foveal.storage.written import unheard

if TYPE_CHECKING:
    from foveal.datasets.plan import Item


@dataclass(frozen=True)
class KeptRow:
    """What a part holds of one picture.

    Attributes:
        name, label: of the picture.
        values: as they were in its `Row`.
        error: why there are none.
    """

    name: str
    label: str | None
    values: Mapping[str, Any]
    error: str | None


@dataclass(frozen=True)
class StateLayout:
    """Parts that hold the values of rows, and no maps."""

    def write(self, folder: Path, shard: int, of: str, items: Sequence[Item], rows: Sequence[Row]) -> Sealed:
        """Write a part whole or not at all, on the disk when this returns.

        Raises:
            ResultError: where it cannot be written.
        """
        kept = [[item.uri, item.label, dict(row.values), row.error] for item, row in zip(items, rows, strict=True)]
        content = state_bytes({"rows": kept, "part": token_hex(8)}, of)
        sealed = Sealed(shard, len(rows), sum(row.error is not None for row in rows), sha256(content).hexdigest())
        with unheard():
            write_bytes(state_path(folder, sealed), content, ResultError)
        return sealed


def state_path(folder: Path, sealed: Sealed) -> Path:
    """Where a part lies."""
    return folder / f"part-{sealed.digest[:16]}.pt"


def state_parts(folder: Path) -> Iterator[Path]:
    """The parts that lie in a folder, if there is one."""
    return iter(sorted(folder.glob("part-*.pt")))


def state_rows(part: Path, of: str) -> list[KeptRow] | None:
    """What a part holds; None where it is of other work.

    Raises:
        ResultError: for a damaged part.
    """
    state = load_state(part, of)
    return None if state is None else [KeptRow(*row) for row in state["rows"]]

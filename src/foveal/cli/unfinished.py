"""Photos that an interrupted run finished: the same command leaves their results as they are, and goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.errors import ResultError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.models import Model

NAME = ".foveal-unfinished"
KEPT = f"{NAME}/*.pt"
"""The files of photos that are done, in the folder of a command."""


class UnfinishedRun:
    """The rows of each photo that is done, as a sealed state in a folder that the end of the run removes.

    A photo is done if there is a whole state of the same photo, network and settings, and its files are there.
    """

    def __init__(self, folder: Path, *, again: bool = False) -> None:
        self._folder = folder / NAME
        if again:
            self.end()

    def rows(self, of: str) -> list[dict[str, Any]] | None:
        """What the interrupted run found of this photo; None where it has to be done."""
        from foveal.storage.checkpoint import load_state

        try:
            state = load_state(self._file(of), of)
        except ResultError:
            return None
        rows = json.loads(state["rows"]) if state else []
        return rows if rows and _there(rows) else None

    def add(self, of: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """The photo is done."""
        from foveal.storage.checkpoint import save_state
        from foveal.storage.written import unheard

        with unheard():
            save_state(self._file(of), {"rows": json.dumps(list(rows))}, of)

    def end(self) -> None:
        """The run is finished: the next one starts afresh."""
        from foveal.storage.leftovers import remove

        remove(self._folder)

    def _file(self, of: str) -> Path:
        return self._folder / f"{of[:32]}.pt"


def fingerprints(
    files: Sequence[Path], network: Model, settings: object, places: Sequence[Path] | None = None
) -> list[str]:
    """Of each photo, the folder of its results, the network and all settings: what decides its results."""
    from foveal._version import __version__
    from foveal.storage.fingerprint import fingerprint

    kinds = dict.fromkeys(type(part) for part in network.module.modules())
    of = fingerprint(
        weights=network.module, code=[getattr(kind, "forward", None) for kind in kinds], task=network.task,
        preprocessing=network.preprocessing, labels=network.labels, settings=settings, foveal=__version__,
    )  # fmt: skip
    where = places or [Path()] * len(files)
    return [fingerprint(photo=file, folder=place, of=of) for file, place in zip(files, where, strict=True)]


def _there(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every file that the rows name is still there."""
    try:
        return all(Path(file).is_file() for row in rows for file in row["files"])
    except (LookupError, TypeError, ValueError, OSError):
        return False

"""Photos that an interrupted run finished: the same command leaves their results as they are, and goes on."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from foveal.models import Model

NAME = ".foveal-unfinished.jsonl"


class UnfinishedRun:
    """The rows of each photo that is done, a line each in a file that the end of the run removes.

    A photo is done if its line has the fingerprint of the same photo, network and settings, and its files are there.
    """

    def __init__(self, folder: Path, *, again: bool = False) -> None:
        self._path = folder / NAME
        if again:
            self.end()
        self._done = {of: rows for of, rows in self._lines() if _there(rows)}

    def rows(self, of: str) -> list[dict[str, Any]] | None:
        """What the interrupted run found of this photo; None where it has to be done."""
        return self._done.get(of)

    def add(self, of: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """The photo is done."""
        from foveal.storage.atomic import refusal

        with refusal(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"of": of, "rows": list(rows)}) + "\n")

    def end(self) -> None:
        """The run is finished: the next one starts afresh."""
        with suppress(OSError):
            self._path.unlink()

    def _lines(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        from foveal.storage.reading import DAMAGE, read_text

        try:
            lines = read_text(self._path).splitlines()
        except DAMAGE:
            return
        for line in lines:
            with suppress(*DAMAGE):  # a line that was being written when the run was killed
                content = json.loads(line)
                yield str(content["of"]), list(content["rows"])


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

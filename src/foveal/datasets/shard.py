"""One shard from its pictures to its part: read ahead in a thread, explained in fixed batches, written at the end.

The same batches are made whoever works through the shard, and a picture that cannot be read takes no place in one, so
that every number comes out alike to the last bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from foveal.datasets.inside import Picture, PictureFiles, picture_files
from foveal.datasets.parts import Row, Sealed
from foveal.datasets.plan import Item
from foveal.errors import FovealError
from foveal.storage.reading import DAMAGE, reason

AHEAD = 2
"""Batches that are read while one is explained."""

Pictures: TypeAlias = "list[tuple[Item, Any]]"
"""Of a batch; each as the explainer reads it, or a row with an error."""


class Explainer(Protocol):
    """What is done with pictures; made once in each process. An `EndOfWorkError` in here ends the whole work."""

    def read(self, picture: Picture) -> Any:
        """One picture, by its file or the bytes of one, as small as it goes: a few batches of them are in memory.
        Called in a thread of its own."""

    def rows(self, items: Sequence[Item], pictures: Sequence[Any]) -> Sequence[Row]:
        """What comes out for each; raises where the pictures together fail, and then gets them one by one."""


class PartWriter(Protocol):
    """How a shard is kept: a `PartLayout` as Parquet, for readers of any kind, or a `StateLayout` for foveal alone."""

    def write(self, folder: Path, shard: int, of: str, items: Sequence[Item], rows: Sequence[Row]) -> Sealed:
        """Write a part whole or not at all; raises ResultError where that fails."""


class EndOfWorkError(Exception):
    """What goes wrong with every picture, and not with one: the first argument is the error that the caller hears."""


@dataclass(frozen=True)
class Task:
    """A shard to be worked through.

    Attributes:
        hopeless: pictures that are not touched, and why not: an error for each.
    """

    shard: int
    items: Sequence[Item]
    hopeless: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ShardWork:
    """What is done with every shard, wherever that is.

    Attributes:
        make: gives the explainer; it travels to other processes.
        root: the folder that pictures lie below.
        folder: where parts are written.
        of: the fingerprint of the run.
        layout: how parts are written.
        batch: pictures that go through the network together.
        threads: of torch in each process.
    """

    make: Callable[[], Explainer]
    root: Path
    folder: Path
    of: str
    layout: PartWriter
    batch: int
    threads: int = 1

    def do(
        self, explainer: Explainer, task: Task, moved: Callable[[int], None] | None = None,
        coming: Iterator[Pictures] | None = None,
    ) -> Sealed:  # fmt: skip
        """Work through a shard and write its part.

        Args:
            moved: hears how many of its pictures are done.
            coming: of `read_ahead`, at the first pictures of this shard.

        Raises:
            ResultError: where the part cannot be written.
        """
        rows = self.rows(explainer, task, moved, coming)
        return self.layout.write(self.folder, task.shard, self.of, task.items, rows)

    def rows(
        self, explainer: Explainer, task: Task, moved: Callable[[int], None] | None = None,
        coming: Iterator[Pictures] | None = None,
    ) -> list[Row]:  # fmt: skip
        """The rows of its pictures, in order."""
        rows = {id: Row(error=why) for id, why in task.hopeless.items()}
        for batch in islice(coming or self.read_ahead(explainer, [task]), len(self._batches(task))):
            rows |= {item.id: picture for item, picture in batch if isinstance(picture, Row)}
            good = [(item, picture) for item, picture in batch if not isinstance(picture, Row)]
            rows |= _explained(explainer, good)
            if moved:
                moved(len(rows))
        return [rows[item.id] for item in task.items]

    def _batches(self, task: Task) -> list[Sequence[Item]]:
        return [task.items[i : i + self.batch] for i in range(0, len(task.items), self.batch)]

    def read_ahead(self, explainer: Explainer, tasks: Sequence[Task]) -> Generator[Pictures, None, None]:
        """The pictures of shards batch by batch; a row with an error in place of what cannot be read.

        The next shard is read while the last batches of one are explained, and its part is written.
        """
        with picture_files(self.root) as files, ThreadPoolExecutor(1, thread_name_prefix="foveal-reading") as reader:
            coming: deque[Future[Pictures]] = deque()
            try:
                for shard, batch in ((task, batch) for task in tasks for batch in self._batches(task)):
                    left = [item for item in batch if item.id not in shard.hopeless]
                    coming.append(reader.submit(self._pictures, explainer, files, left))
                    if len(coming) > AHEAD:
                        yield coming.popleft().result()
                while coming:
                    yield coming.popleft().result()
            finally:
                for future in coming:
                    future.cancel()

    def _pictures(self, explainer: Explainer, files: PictureFiles, items: Sequence[Item]) -> Pictures:
        return [(item, _failing(lambda item=item: explainer.read(files.get(item)), self.root)) for item in items]  # type: ignore[misc]


def _explained(explainer: Explainer, good: Sequence[tuple[Item, Any]]) -> dict[int, Row]:
    """Row by picture; of a batch that fails, those that fail alone have an error."""
    if not good:
        return {}
    items, pictures = zip(*good, strict=True)
    if len(good) > 1:
        with suppress(FovealError, *DAMAGE):
            return {item.id: row for item, row in zip(items, explainer.rows(items, pictures), strict=True)}
    return {item.id: _failing(partial(_alone, explainer, item, picture)) for item, picture in good}


def _alone(explainer: Explainer, item: Item, picture: Any) -> Row:
    (row,) = explainer.rows([item], [picture])
    return row


def _failing(get: Callable[[], Any], root: Path | None = None) -> Any:
    """What it gives, or a row that says why there is nothing, wherever the root of the pictures lies."""
    try:
        return get()
    except FovealError as error:
        said = str(error)
    except DAMAGE as error:
        said = f"{type(error).__name__}: {reason(error)}"
    return Row(error=said.replace(f"{root}/", "") if root else said)


def sizes(plan: Iterable[Task]) -> dict[int, int]:
    """Shard -> how many pictures it has."""
    return {task.shard: len(task.items) for task in plan}

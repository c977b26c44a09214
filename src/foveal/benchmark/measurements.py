"""What was measured of each image: kept in sealed parts as it is measured, so that it is not measured again.

    photos.parts/setting.json           what decides the numbers
    photos.parts/part-1f0c….pt          a few images: their numbers by method and metric
    photos.csv                          all of them as one table, written at the end

Only whole parts count: what a killed run was measuring is measured again. Numbers of another setting are refused in a
sentence; those of an image that changed since do not count. Runs may share a folder, also with other methods.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from foveal.api.map_sources import EVERY
from foveal.datasets.executors import work_through
from foveal.datasets.parts import Row
from foveal.datasets.plan import Plan
from foveal.datasets.shard import ShardWork, Task
from foveal.datasets.states import KeptRow, StateLayout, state_parts, state_path, state_rows
from foveal.errors import ResultError, printable
from foveal.results.scores import Scores
from foveal.storage import plain, table
from foveal.storage.atomic import write_text
from foveal.storage.fingerprint import fingerprint
from foveal.storage.leftovers import clear
from foveal.storage.reading import DAMAGE, read_text
from foveal.storage.written import unheard

if TYPE_CHECKING:
    from foveal.datasets.inside import Picture
    from foveal.datasets.parts import Sealed
    from foveal.datasets.plan import Item

KEY = ("decision", "picture", "method")
BASELINE_MAPS = tuple(f"({name})" for name in EVERY)
IN_A_PART = 4
"""Images; what a killed run loses is no more than this for each of its workers."""
PARTS = 64
Numbers: TypeAlias = "Mapping[str, Mapping[str, float | None]]"
"""Method -> metric -> value; a method that does not apply has no values."""
Measure: TypeAlias = "Callable[[int], Numbers]"


@dataclass(frozen=True)
class Subject:
    """An image and a decision about it.

    Attributes:
        digest: the fingerprint of the image and of all that is known of it.
    """

    decision: str
    picture: str
    digest: str = ""


@dataclass
class Measurements:
    """The numbers of a folder.

    Args:
        path: of the table, photos.csv.
        metrics: its columns, after decision, picture and method.
        setting: what the numbers are made with but for the methods, as plain data.

    Raises:
        ResultError: where there are numbers of another setting, or a table that has no parts.
    """

    path: Path
    metrics: Sequence[str]
    setting: Mapping[str, Any]
    _numbers: dict[Subject, dict[str, Mapping[str, float | None]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        told = {**self.setting, "metrics": ", ".join(self.metrics)}
        self.setting = plain.from_json(plain.to_json(told))
        self._of = fingerprint(setting=self.setting)
        if self.path.exists() and not self.parts.is_dir():
            raise ResultError(
                f"Cannot add to {str(self.path)!r}: {self.parts.name}, the folder with its measurements, is not beside "
                "it, or an earlier version of foveal made it. Choose another folder with --out."
            )
        self.read()

    @property
    def parts(self) -> Path:
        """Where they lie."""
        return self.path.with_suffix(".parts")

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the table."""
        return (*KEY, *self.metrics)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Of which there are numbers."""
        return tuple(self._numbers)

    def missing(self, subject: Subject, methods: Iterable[str]) -> list[str]:
        """Those of the methods that were not measured on this image as it is."""
        known = self._numbers.get(subject, {})
        return [method for method in methods if method not in known]

    def changed(self, subjects: Iterable[Subject]) -> list[str]:
        """The images that were measured before they changed, or what is known of them did, and not since."""
        known = {(subject.decision, subject.picture) for subject in self._numbers}
        new = (subject for subject in subjects if subject not in self._numbers)
        return [subject.picture for subject in new if (subject.decision, subject.picture) in known]

    def measure(
        self, make: Callable[[], Measure], subjects: Sequence[Subject], moved: Callable[[int], None], *,
        workers: int = 0,
    ) -> Generator[tuple[int, dict[int, str]], None, None]:  # fmt: skip
        """Measure images, and keep their numbers.

        Args:
            make: gives what measures the subject of a place in the sequence; made once in each process.
            moved: hears how many were looked at.
            workers: processes that work at once; 0 is this one alone.

        Yields:
            After each part how many images it is about, and by their places why some could not be measured.

        Raises:
            ResultError: where nothing can be written.
        """
        if not subjects:
            return
        names = [(subject.picture, subject.decision) for subject in subjects]
        plan = Plan.of(names, Path(), shard=min(IN_A_PART, math.ceil(len(names) / PARTS)))
        tasks = [Task(shard, plan.items(shard)) for shard in range(plan.shards)]
        threads = max(1, torch.get_num_threads() // max(1, workers))
        start = _Start(make, tuple(subject.digest for subject in subjects))
        work = ShardWork(start, plan.root, self.parts, self._of, StateLayout(), batch=1, threads=threads)
        with unheard():
            write_text(self._card, plain.to_json(self.setting, indent=1) + "\n")
        try:
            with closing(work_through(work, tasks, moved, workers=workers)) as each:
                for sealed in each:
                    yield sealed.rows, self._kept(sealed, plan)
        finally:
            clear(self.parts)
            if not any(state_parts(self.parts)):  # nothing that the next run would have to look at
                shutil.rmtree(self.parts, ignore_errors=True)

    def read(self) -> None:
        """What there is in the folder now, also by other runs; parts that are damaged do not count.

        Raises:
            ResultError: for parts of another setting.
        """
        for part in state_parts(self.parts):
            try:
                rows = state_rows(part, self._of)
            except ResultError:
                continue
            if rows is None:
                raise ResultError(
                    f"{str(self.parts)!r} holds numbers of other settings ({self._differing()}). Ask for the same "
                    "model, metrics and steps, choose another folder with --out, or delete it to start again."
                )
            self._take(rows)

    def rows(self, subjects: Iterable[Subject], methods: Sequence[str] = ()) -> list[dict[str, str]]:
        """The numbers of these images as text: of these methods first, then of others by name and of baseline maps."""
        return [dict(zip(self.columns, map(_text, cells), strict=True)) for cells in self._cells(subjects, methods)]

    def scores(
        self, subjects: Iterable[Subject], methods: Sequence[str] = (), *, model: str = "", applying: bool = False
    ) -> Scores:
        """The same of one decision; where an image lacks a method, it is undefined there, and counted.

        Methods in parentheses are baseline maps, and come last.

        Args:
            applying: leave out methods that have no number at all: they do not apply to this decision.
        """
        own = {subject: known for subject in subjects if (known := self._numbers.get(subject))}
        names = _in_order({method for known in own.values() for method in known}, methods)
        values = {
            method: {m: tuple(_number(known.get(method, {}).get(m)) for known in own.values()) for m in self.metrics}
            for method in names
        }
        metrics = [m for m in self.metrics if not all(map(math.isnan, chain(*(of[m] for of in values.values()))))]
        values = {
            method: {m: of[m] for m in metrics}
            for method, of in values.items()
            if not applying or not all(map(math.isnan, chain(*of.values())))
        }
        nothing = ("",) * len(own), (math.nan,) * len(own)
        pictures = tuple(subject.picture for subject in own)
        return Scores(values, pictures, *nothing, "", tuple(filter(_is_baseline_map, values)), model)

    def write(self, subjects: Iterable[Subject], methods: Sequence[str] = ()) -> None:
        """The table of these images."""
        write_text(self.path, "".join(map(table.line, [self.columns, *self._cells(subjects, methods)])))

    def _cells(self, subjects: Iterable[Subject], methods: Sequence[str]) -> Iterator[tuple[table.Cell, ...]]:
        for subject in subjects:
            known = self._numbers.get(subject, {})
            for method in _in_order(known, methods):
                yield subject.decision, subject.picture, method, *map(known[method].get, self.metrics)

    @property
    def _card(self) -> Path:
        return self.parts / "setting.json"

    def _kept(self, sealed: Sealed, plan: Plan) -> dict[int, str]:
        """Take a new part's numbers; its errors by place. A part without a number is of no use, and goes."""
        part = state_path(self.parts, sealed)
        rows = state_rows(part, self._of) or []
        self._take(rows)
        if sealed.failed == sealed.rows:
            part.unlink(missing_ok=True)
        places = zip(plan.items(sealed.shard), rows, strict=True)
        return {item.id: row.error for item, row in places if row.error is not None}

    def _take(self, rows: Iterable[KeptRow]) -> None:
        for row in rows:
            if row.error is None:
                subject = Subject(row.label or "", row.name, row.values["digest"])
                self._numbers.setdefault(subject, {}).update(row.values["numbers"])

    def _differing(self) -> str:
        """ "steps: 28 → 14; other weights"."""
        try:
            before = dict(plain.from_json(read_text(self._card)))
        except DAMAGE:
            before = {}
        names = [name for name in {**before, **self.setting} if before.get(name) != self.setting.get(name)]
        return "; ".join(_change(name, before.get(name), self.setting.get(name)) for name in names) or "unknown ones"


@dataclass(frozen=True)
class _Start:
    """What makes the explainer, in any process."""

    make: Callable[[], Measure]
    digests: Sequence[str]

    def __call__(self) -> _Measurer:
        return _Measurer(self.make(), self.digests)


@dataclass(frozen=True)
class _Measurer:
    measure: Measure
    digests: Sequence[str]

    def read(self, picture: Picture) -> Picture:
        return picture  # it is read where it is measured

    def rows(self, items: Sequence[Item], pictures: Sequence[Picture]) -> list[Row]:
        return [Row({"digest": self.digests[item.id], "numbers": _plain(self.measure(item.id))}) for item in items]


def _plain(numbers: Numbers) -> Numbers:
    return {
        method: {metric: None if value is None else float(value) for metric, value in of.items()}
        for method, of in numbers.items()
    }


def _in_order(methods: Iterable[str], first: Sequence[str]) -> list[str]:
    """The first ones, others by name, then baseline maps."""
    known = set(methods)
    named = [*(name for name in dict.fromkeys((*first, *BASELINE_MAPS)) if name in known)]
    return sorted([*named, *sorted(known.difference(named))], key=_is_baseline_map)


def _text(cell: table.Cell) -> str:
    return "" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _is_baseline_map(method: str) -> bool:
    return method.startswith("(")


def _change(name: str, before: Any, now: Any) -> str:
    plain_words = all(isinstance(value, str | int | float | bool) for value in (before, now))
    return (
        f"{name}: {printable(str(before))} → {printable(str(now))}"
        if plain_words and name != "weights"
        else f"other {name}"
    )

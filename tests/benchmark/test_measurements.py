"""Numbers in parts: whole parts only, whatever tears them; one setting only; any number of writers."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from foveal.benchmark.measurements import Measurements, Numbers, Subject
from foveal.datasets.shard import EndOfWorkError
from foveal.errors import FovealError, ImageError, ResultError
from tests.storage.crashing import killed_after, killed_at, left_over, moments, together

SETTING: dict[str, Any] = {"model": "m", "steps": 3, "rate": math.inf}
METHODS = ("x", "y", "(random)")


@dataclass(frozen=True)
class Made:
    """What measures: b is the place, a is known; `bad` places fail, and `end` ends it all."""

    values: Sequence[float]
    bad: Sequence[int] = ()
    end: int = -1
    methods: Sequence[str] = METHODS

    def __call__(self) -> Made.measure:  # type: ignore[name-defined]
        return self.measure

    def measure(self, place: int) -> Numbers:
        if place == self.end:
            raise EndOfWorkError(ResultError("nothing can be measured"))
        if place in self.bad:
            raise ImageError(f"number {place} is bad")
        return {method: {"a": self.values[place] + k, "b": -1.5} for k, method in enumerate(self.methods)}


def numbers(path: Path, setting: Mapping[str, Any] = SETTING) -> Measurements:
    return Measurements(path, ["a", "b"], setting)


def subjects(count: int, digest: str = "0") -> list[Subject]:
    return [Subject("photo", f"p{number}", digest) for number in range(count)]


def fill(path: Path, count: int = 3, methods: Sequence[str] = METHODS, **more: Any) -> dict[int, str]:
    """Measure what a table lacks of so many images: their `a` is their number."""
    log = numbers(path)
    left = [one for one in subjects(count) if log.missing(one, methods)]
    made = Made([float(one.picture[1:]) for one in left], methods=methods, **more)
    return {at: why for _, errors in log.measure(made, left, lambda count: None) for at, why in errors.items()}


def check(path: Path, count: int = 3) -> None:
    """After another run there are the right numbers."""
    fill(path, count)
    log, wanted = numbers(path), subjects(count)
    log.write(wanted)
    scores = log.scores(wanted)
    assert scores.pictures == tuple(f"p{number}" for number in range(count)) and [*scores.values] == [*METHODS]
    assert scores.values["y"] == {"a": tuple(number + 1.0 for number in range(count)), "b": (-1.5,) * count}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == log.rows(wanted) and [row["a"] for row in rows[:3]] == ["0.0", "1.0", "2.0"]
    assert len(rows) == 3 * count and not left_over(path.parent)


def parts(path: Path) -> list[Path]:
    return sorted(numbers(path).parts.glob("part-*"))


@pytest.mark.parametrize("tear", [0, 1, 100, -1, -70])
def test_a_torn_part_is_measured_again_and_the_others_are_not(tear: int, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    fill(path)
    first, *others = parts(path)
    before = [part.read_bytes() for part in others]
    first.write_bytes(first.read_bytes()[:tear])
    assert len(numbers(path).subjects) == 2
    check(path)
    assert [part.read_bytes() for part in others] == before and len(parts(path)) <= 4


def test_a_changed_number_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    fill(path)
    part = parts(path)[0]
    content = bytearray(part.read_bytes())
    content[content.index(b"photo")] ^= 1
    part.write_bytes(content)
    check(path)


def test_numbers_of_another_setting_are_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    check(path)
    before = {part.name: part.read_bytes() for part in numbers(path).parts.iterdir()}
    for setting, words in (
        ({**SETTING, "steps": 4}, "steps: 3 → 4"), ({**SETTING, "weights": "x"}, "other weights"),
        ({"model": "n"}, "model: m → n; other steps; other rate"),
    ):  # fmt: skip
        with pytest.raises(ResultError, match=rf"t\.parts' holds numbers of other settings \({words}\)\. Ask"):
            numbers(path, setting)
    for columns in (["a"], ["b", "a"], ["a", "b", "c"]):
        with pytest.raises(ResultError, match=rf"other settings .metrics: a, b → {', '.join(columns)}."):
            Measurements(path, columns, SETTING)
    assert {part.name: part.read_bytes() for part in numbers(path).parts.iterdir()} == before
    shutil.rmtree(numbers(path).parts)  # as the sentence says; and the table goes, too
    with pytest.raises(ResultError, match=r"Cannot add to .*t\.csv': t\.parts, the folder"):
        numbers(path)
    path.unlink()
    assert not numbers(path, {"model": "n"}).subjects


@pytest.mark.parametrize("card", [None, b"", b"{", b'{"model": "m", "ste', b"\xff\x00", b"[]", b'{"model": "n"}'])
def test_each_part_knows_its_setting_whatever_becomes_of_the_card(card: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    fill(path, 2)
    file = numbers(path).parts / "setting.json"
    if card is None:
        file.unlink()
    else:
        file.write_bytes(card)
    with pytest.raises(ResultError, match=r"other settings.*or delete it to start again"):
        numbers(path, {"model": "n"})
    check(path)
    assert json.loads(file.read_text()) == {
        "model": "m", "steps": 3, "rate": {"$number": "inf"}, "metrics": "a, b"
    }  # fmt: skip


def test_an_image_that_changed_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    fill(path)
    log, other = numbers(path), [subjects(1)[0], Subject("photo", "p1", "1")]
    assert log.changed(other) == ["p1"] and log.missing(other[1], METHODS) == [*METHODS]
    assert log.missing(other[0], [*METHODS, "z"]) == ["z"] and not log.changed(subjects(4))
    list(log.measure(Made([70.0]), other[1:], lambda count: None))
    assert not numbers(path).changed(other)
    assert numbers(path).scores(other).values["x"]["a"] == (0.0, 70.0)
    assert numbers(path).scores(subjects(3)).values["x"]["a"] == (0.0, 1.0, 2.0)


def test_methods_are_in_the_order_in_which_they_are_asked_and_an_image_without_one_has_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    fill(path, 2, ["y", "(center)", "(random)"])
    fill(path, 1, ["x", "w"])
    scores = numbers(path).scores(subjects(2), ["x"])
    assert [*scores.values] == ["x", "w", "y", "(random)", "(center)"] and scores.baseline_maps == (
        "(random)", "(center)",
    )  # fmt: skip
    assert scores.values["x"]["a"][0] == 0.0 and math.isnan(scores.values["x"]["a"][1])
    assert [row["method"] for row in numbers(path).rows(subjects(2), ["x"])][5:] == ["y", "(random)", "(center)"]


def test_what_fails_is_told_by_place_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert fill(path, 3, bad=[1]) == {1: "number 1 is bad"}
    assert {subject.picture for subject in numbers(path).subjects} == {"p0", "p2"}
    assert fill(path, 3, bad=[0]) == {0: "number 0 is bad"} and len(parts(path)) == 2
    check(path)


def test_where_nothing_can_be_measured_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert fill(path, 2, bad=[0, 1]) == {0: "number 0 is bad", 1: "number 1 is bad"}
    with pytest.raises(ResultError, match="nothing can be measured"):
        fill(path, 2, end=0)
    assert not list(tmp_path.iterdir())
    check(path)


def test_writers_at_once_lose_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert together(*[partial(fill, path, 12)] * 3) == [0, 0, 0]
    check(path, 12)


def test_writers_at_once_hear_of_what_fails(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"

    def write() -> None:
        assert set(fill(path, 4, bad=[0, 1, 2])) == {0, 1, 2}

    assert together(*[write] * 3) == [0, 0, 0]
    check(path, 4)


def test_killed_at_any_step(tmp_path: Path) -> None:
    step = 0
    while killed_at(step, partial(fill, tmp_path / f"{step}.csv", 1)):
        check(tmp_path / f"{step}.csv", 2)
        step += 1
    assert step > 10 and not left_over(tmp_path)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    def write() -> None:
        for count in range(1, 100_000):
            fill(tmp_path / "t.csv", count)

    for seconds in moments(3, 7, 0.3):
        assert killed_after(0.05 + seconds, write)
        found = len(numbers(tmp_path / "t.csv").subjects)
    check(tmp_path / "t.csv", found + 1)


def test_a_full_disk_leaves_the_parts_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    fill(path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResultError, match=r"Cannot write .*No space left on device\."):
            fill(path, 4)
    assert len(parts(path)) == 3
    check(path, 4)


def test_a_limit_on_the_size_of_files_tears_nothing(tmp_path: Path) -> None:
    """The system itself refuses in the middle of a file, as a full disk does."""
    import resource

    path = tmp_path / "t.csv"
    fill(path)

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
        with pytest.raises(ResultError, match="Cannot write"):
            fill(path, 4)

    assert together(limited) == [0]
    check(path, 4)


def test_names_of_any_kind_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    names = ["a", "a\n", "a\\n", "a\u2028", "a\udcff", "=1+1", "'=1+1", '"', "a,b", "-5", " a", "a "]
    each = [Subject("photo", name) for name in names]
    list(numbers(path).measure(Made([float(k) for k in range(len(names))]), each, lambda count: None))
    again = numbers(path)
    assert set(again.subjects) == set(each)
    assert again.scores(each[1:3]).values["x"]["a"] == (1.0, 2.0)
    again.write(each)
    with path.open(newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert len(written) == 3 * len(names) and [row["a"] for row in written[::3]] == [f"{k}.0" for k in range(12)]
    assert not any(row["picture"].startswith(("=", "@")) for row in written)


def test_numbers_come_back_exactly_also_infinite_ones(tmp_path: Path) -> None:
    values = [0.1 + 0.2, 1e-310, -math.inf, math.inf, math.nan]
    list(numbers(tmp_path / "t.csv").measure(Made(values), subjects(5), lambda count: None))
    read = numbers(tmp_path / "t.csv").scores(subjects(5)).values["x"]["a"]
    assert read[:4] == tuple(values[:4]) and math.isnan(read[4])


def test_a_table_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "text.csv").write_text("something else")
    for name in ("pipe.csv", "folder.csv", "text.csv"):
        with pytest.raises(ResultError, match="Cannot add to"):
            numbers(tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(FovealError, match="Cannot write"):
        fill(tmp_path / "file" / "t.csv")

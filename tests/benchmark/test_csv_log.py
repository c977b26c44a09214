"""A table that grows: whole pictures only, whatever tears it; one setting only; any number of writers."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.benchmark.csv_log import CsvLog
from foveal.benchmark.entries import visible
from foveal.errors import ResultError
from foveal.storage.atomic import write_text
from tests.storage.crashing import killed_at, left_over, together

SETTING: dict[str, Any] = {"model": "m", "steps": 3, "rate": math.inf}
METHODS = ("x", "y", "(random)")


def rows(picture: str, value: float = 22.25) -> list[dict[str, Any]]:
    return [
        {"decision": "photo", "picture": picture, "method": method, "a": value + k, "b": -value}
        for k, method in enumerate(METHODS)
    ]


def ledger(path: Path, setting: Mapping[str, Any] = SETTING) -> CsvLog:
    return CsvLog(path, ["a", "b"], setting)


def table(path: Path, pictures: int = 3) -> bytes:
    """The content of a table of a few pictures."""
    found = ledger(path)
    for number in range(pictures):
        found.add(rows(f"p{number}"), digest=f"{number:012x}")
    return path.read_bytes()


def check(path: Path, whole: int) -> None:
    """It holds so many whole pictures, goes on, and gives the right numbers."""
    found = ledger(path)
    assert found.done == {("photo", f"p{n}") for n in range(whole)}
    for number in range(4):
        if found.missing("photo", f"p{number}", METHODS, f"{number:012x}"):
            found.add(rows(f"p{number}"), digest=f"{number:012x}")
    scores = found.scores("photo")
    assert scores.pictures == ("p0", "p1", "p2", "p3")
    assert scores.values["y"] == {"a": (23.25,) * 4, "b": (-22.25,) * 4}
    with path.open(newline="") as file:
        assert [row["a"] for row in csv.DictReader(file)] == ["22.25", "23.25", "24.25"] * 4


def test_torn_anywhere_whole_pictures_stay_and_what_is_torn_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    content = table(path)
    ends = [n for n in range(len(content) + 1) if content[:n].endswith(b"\n")]
    whole_after = {length: sum(end <= length for end in ends[1:]) // 3 for length in range(len(content) + 1)}
    for length in [*range(0, len(content), 7), *ends, *(end - 1 for end in ends), len(content)]:
        path.write_bytes(content[:length])
        check(path, whole_after[length])
    assert not left_over(tmp_path)


@pytest.mark.parametrize("tail", [b"\x00" * 300, b"photo,p9,x,1.0,2.0,", b'"', b"\xff", b"\n\n", b"a\x00\x00b\nphoto,"])
def test_what_does_not_belong_to_the_end_is_cut_off(tail: bytes, tmp_path: Path) -> None:
    """A disk that was full, or lost power, leaves zeros."""
    path = tmp_path / "t.csv"
    path.write_bytes(table(path) + tail)
    check(path, 3)


@pytest.mark.parametrize("card", [None, b"", b"{", b'{"model": "m", "ste', b"\xff\x00", b"[]", b'{"model": "n"}'])
@pytest.mark.parametrize("lines", [0, 1, 4])
def test_a_torn_card_is_written_again_as_each_line_knows_what_it_was_made_with(
    card: bytes | None, lines: int, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    content = table(path, 1)
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:lines]))
    if card is None:
        path.with_suffix(".json").unlink()
    else:
        path.with_suffix(".json").write_bytes(card)
    if lines == 4:  # there are numbers, and they are not of another setting, whatever the card says
        with pytest.raises(ResultError, match=r"other settings.*delete t\.csv and t\.json to start again"):
            ledger(path, {"model": "n"})
    check(path, lines // 4)
    card_now = json.loads(path.with_suffix(".json").read_text())
    assert card_now["model"] == "m" and card_now["rate"] == {"$number": "inf"}


def test_numbers_of_another_setting_are_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    content = table(path)
    for setting, word in (
        ({**SETTING, "steps": 4}, "steps: 3 → 4"), ({**SETTING, "weights": "x"}, "other weights"),
        ({"model": "n"}, "model: m → n; other steps; other rate"),
    ):  # fmt: skip
        with pytest.raises(ResultError, match=word):
            ledger(path, setting)
    for columns in (["a"], ["b", "a"], ["a", "b", "c"]):
        with pytest.raises(ResultError, match=rf"other settings .metrics: a, b → {', '.join(columns)}."):
            CsvLog(path, columns, SETTING)
    assert path.read_bytes() == content
    path.write_bytes(content.split(b"\n")[0] + b"\n")  # nothing was measured: nothing is lost
    assert not ledger(path, {"model": "n"}).done


def test_a_picture_that_changed_is_neither_taken_nor_doubled(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table(path)
    found = ledger(path)
    assert not found.missing("photo", "p1", METHODS, "1".zfill(12))
    assert found.missing("photo", "p3", METHODS, "x") == [*METHODS]
    for ask in (
        lambda *key: found.missing(*key[:2], METHODS, key[2]),
        lambda *_, **__: found.add(rows("p1"), digest="f" * 12),
    ):
        with pytest.raises(
            ResultError, match=r"'p1', or its line in the index, changed since lines 5 to 7.*delete those lines"
        ):
            ask("photo", "p1", "f" * 12)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], *lines[7:]]))  # as the sentence says
    assert ledger(path).missing("photo", "p1", METHODS, "f" * 12) == [*METHODS]
    found = ledger(path)
    found.add(rows("p1", 1.0), digest="f" * 12)
    assert found.scores("photo").values["x"]["a"] == (22.25, 22.25, 1.0)


def test_lines_that_were_changed_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    content = table(path)
    lines = content.splitlines(keepends=True)
    for broken, words in (
        (content.replace(b"23.25", b"29.25", 1), "Line 3 of"),
        (b"".join([*lines[:6], *lines[7:]]), "Line 5 of"),
        (b"".join([*lines[:5], b"\n", *lines[5:]]), "Line 5 of"),
        (b"".join([*lines, *lines[4:7]]), "Lines 11 to 13 of .* repeat lines 5 to 7"),
        (content + b"checked by me\n", "Line 11 of"),
        (content[:-9] + b"00000000\n", "Line 10 of"),
        (b"".join([lines[0], *(line.replace(b"\n", b"\r\n") for line in lines[1:])]), "Line 2 of"),
        (b"".join([lines[0], *(line.replace(b"22.25", b"22.250") for line in lines[1:])]), "Line 2 of"),
    ):
        path.write_bytes(broken)
        with pytest.raises(ResultError, match=words):
            ledger(path)
        assert path.read_bytes() == broken


def test_writers_at_once_neither_double_nor_lose_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"

    def write(order: int) -> None:
        found = ledger(path)
        for number in list(range(25))[::order]:
            if found.missing("photo", f"p{number}", METHODS, "a" * 12):
                found.add(rows(f"p{number}", number), digest="a" * 12)
        assert len(found.done) == 25

    assert together(*(partial(write, order) for order in (1, -1, 1, -1))) == [0, 0, 0, 0]
    found = ledger(path)
    assert len(found.rows()) == 25 * 3 and path.read_bytes().count(b"\n") == 1 + 25 * 3
    assert {row["picture"]: float(row["a"]) for row in found.rows() if row["method"] == "x"} == {
        f"p{number}": number for number in range(25)
    }


def test_one_writer_killed_beside_another(tmp_path: Path) -> None:
    """What the dead one tore is cut off by the one that lives, and its lock keeps nobody waiting."""
    path = tmp_path / "t.csv"
    living = ledger(path)
    living.add(rows("p0"), digest="0" * 12)
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines(keepends=True)[1] + b"photo,p1,y,1")
    living.add(rows("p1"), digest=f"{1:012x}")
    check(path, 2)


def test_killed_at_any_step(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        found = ledger(path)
        for number in range(2):
            if found.missing("photo", f"p{number}", METHODS, f"{number:012x}"):
                found.add(rows(f"p{number}"), digest=f"{number:012x}")

    step = 0
    while killed_at(step, partial(write, tmp_path / f"{step}.csv")):
        check(tmp_path / f"{step}.csv", len(ledger(tmp_path / f"{step}.csv").done))
        step += 1
    assert step > 15 and not left_over(tmp_path)


def test_a_full_disk_leaves_the_rows_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    content = table(path)
    found = ledger(path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResultError, match=r"Cannot write .*t\.csv': No space left on device\."):
            found.add(rows("p3"))
    assert path.read_bytes() == content
    check(path, 3)


def test_a_limit_on_the_size_of_files_tears_nothing(tmp_path: Path) -> None:
    """The system itself refuses in the middle of a line, as a full disk does."""
    import resource

    path = tmp_path / "t.csv"
    size = len(table(path))

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, size + 30))
        with pytest.raises(ResultError, match="Cannot write"):
            ledger(path).add(rows("p3"))

    assert together(limited) == [0]
    assert path.stat().st_size == size
    check(path, 3)


def test_names_of_any_kind_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    names = ["a", "a\n", "a\\n", "a\u2028", "a\udcff", "=1+1", "'=1+1", '"', "a,b", "-5", " a", "a "]
    found = ledger(path)
    for number, name in enumerate(names):
        found.add(rows(name, number))
    again = ledger(path)
    assert again.done == found.done == {("photo", visible(name)) for name in names}
    assert again.scores("photo", pictures=names[1:3]).values["x"]["a"] == (1.0, 2.0)
    assert not any(again.missing("photo", name, METHODS) for name in names) and path.read_bytes().count(
        b"\n"
    ) == 1 + 3 * len(names)
    for line in path.read_text().splitlines():
        assert not any(cell.lstrip('"').startswith(("=", "@")) for cell in line.split(","))


@given(st.text(), st.text())
def test_what_is_seen_is_one_to_one(a: str, b: str) -> None:
    assert visible(a).isprintable() and (visible(a) == visible(b)) == (a == b)


def test_numbers_come_back_exactly_also_infinite_ones(tmp_path: Path) -> None:
    found = ledger(tmp_path / "t.csv")
    values = [0.1 + 0.2, 1e-310, -math.inf, math.inf, math.nan]
    for number, value in enumerate(values):
        found.add([{"decision": "d", "picture": f"{number}", "method": "x", "a": value}])
    read = ledger(tmp_path / "t.csv").scores("d").values["x"]["a"]
    assert read[:4] == tuple(values[:4]) and math.isnan(read[4])


def test_a_table_that_is_no_file_or_is_taken_away(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name in ("pipe.csv", "folder.csv"):
        with pytest.raises(ResultError, match="Cannot write"):
            ledger(tmp_path / name)
    found = ledger(tmp_path / "t.csv")
    assert not list(tmp_path.glob("t.*"))  # nothing is written before the first number
    found.add(rows("p1"))
    (tmp_path / "t.csv").unlink()
    with pytest.raises(ResultError, match="was deleted"):
        found.add(rows("p0"))
    write_text(tmp_path / "t.csv", "something else")
    with pytest.raises(ResultError, match="other settings"):
        found.add(rows("p0"))

"""What holds for every kind of result: it comes back equal, whatever pictures are called and numbers are."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foveal.errors import ResultError
from foveal.results import Explanation, Scores
from foveal.storage import table
from foveal.storage.leftovers import remove
from tests.results.kinds import KINDS, called, copied, known, made, scores
from tests.results.test_explanation import explanation
from tests.storage.crashing import left_over


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_back_equal_and_as_json_that_every_program_reads(kind: str, tmp_path: Path) -> None:
    result, load = made(kind), KINDS[kind][1]
    folder = tmp_path / "out"
    for _ in range(2):  # the second time over the first
        result.save(folder)
        assert known(load(folder)) == known(result)
    assert not left_over(tmp_path)
    said = json.loads((folder / "manifest.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert said["format"].startswith("foveal-") and set(said["files"]) == {p.name for p in folder.iterdir()} - {
        "manifest.json"
    }


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_replace_themselves_and_no_other(kind: str, tmp_path: Path) -> None:
    other = list(KINDS)[list(KINDS).index(kind) - 1]
    copied(other, tmp_path / "out")
    with pytest.raises(ResultError, match=rf"holds a result of another kind \(.*{other[:4]}"):
        made(kind).save(tmp_path / "out")
    assert known(KINDS[other][1](tmp_path / "out")) == known(made(other))
    with pytest.raises(ResultError, match="its format is"):
        KINDS[kind][1](tmp_path / "out")
    copied(kind, tmp_path / "own")
    made(kind).save(tmp_path / "own")
    said = json.loads((tmp_path / "own" / "manifest.json").read_text())
    assert {p.name for p in (tmp_path / "own").iterdir()} == {"manifest.json", *said["files"]}


ODD = [
    "...png", "..", "../../x.png", "/abs/olute.png", ".png", "", "x" * 300 + ".png", "中" * 120 + ".png", "con.png",
    "a\\b.png", "a\nb.png", "a\udcffb.png", "C:\\x.png", "a/", "\u202egnp.exe", "parts.png", "ranks.png", "strip.png",
    "flow.png", "photo.png", "manifest.json", "maps.npz", "queries-0.png", "tree.png", "sheet.png", "-", "a.b.c.png",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("explanation", name) for name in ODD), ("flow", "flow.png"), ("flow", "strip.png"), ("parts", "parts.png")],
)
def test_no_name_of_a_photo_leads_elsewhere_or_takes_the_place_of_another_file(
    kind: str, name: str, tmp_path: Path
) -> None:
    whole = made(kind)
    why = called(whole if kind != "explanation" else whole[0], name)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    folder = why.save(tmp_path / "deep" / "er" / "out")
    again = KINDS[kind][1](folder)
    assert again.photos[0].source == name and np.array_equal(again.photos[0].pixels, why.photos[0].pixels)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and p.parent != folder]
    assert not outside and all(len(p.name.encode()) <= 255 for p in folder.iterdir())
    assert len(set(again.maps)) == len(why.maps)


LAYERS = ("../x", "..", "a/b", "a:b", "a b", "x" * 400, "x" * 401, "", "é" * 200)


def test_layers_of_any_name(tmp_path: Path) -> None:
    maps = {
        name: torch.rand(2, 2, 2) for name in ("../x", "..", "a/b", "a:b", "a b", "x" * 400, "x" * 401, "", "é" * 200)
    }
    why = explanation(maps=maps)
    again = Explanation.load(why.save(tmp_path / "out"))
    assert known(again) == known(why) and not (tmp_path / "x").exists()
    assert len(list((tmp_path / "out").glob("*.png"))) == 2 + 2 * len(maps)


PLAIN: list[Any] = [
    math.nan, math.inf, -math.inf, [math.nan, [math.inf]], {"a": -math.inf}, {"$number": "nan"}, {"$data": {}}, 1e308,
    2**80, {1: "one", None: 2.5}, {"": ""}, "\udcff", "\u2028\x85\x00", [], {}, [[[]]], True, -0.0, 5e-324,
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_plain_data_of_every_kind_comes_back(value: Any, tmp_path: Path) -> None:
    why = explanation(measured={"late": {"x": value}}, parameters={"x": value}, target_spec={"x": [value, value]})
    assert known(Explanation.load(why.save(tmp_path / "why"))) == known(why)
    found = replace(scores(), setting={"x": value})
    assert known(Scores.load(found.save(tmp_path / "scores"))) == known(found)


@pytest.mark.parametrize("value", [print, object(), {1, 2}, b"x", torch.zeros(1), 1j, np.int64(3)])
def test_other_data_is_refused_and_leaves_no_trace(value: Any, tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    for one in (value, [value], {"a": {"b": value}}, loop):
        with pytest.raises(ResultError, match="not plain data"):
            explanation(measured={"x": one}).save(tmp_path / "out")
    assert not list(tmp_path.iterdir())


NAMES = [
    "a\u2028b", "a\x85b", "a\rb", "a\nb", "a\r\nb", '"', 'a"b', "a,b", "=1+1", "+1", "-1", "@x", "\t=1", "'", "'=1",
    "", " a ", "a\x1cb", "a\x0bb", "\ufeff", "ü", "a;b", "x" * 200_000, "＝1", "\x00",
]  # fmt: skip


def test_scores_of_any_name_come_back_and_hold_no_formula(tmp_path: Path) -> None:
    values = {name: dict.fromkeys(("m", "=m", "n,\r"), (k + 0.5, math.nan)) for k, name in enumerate(NAMES)}
    for k, name in enumerate(NAMES):
        found = Scores(values, (name, f"{k}"), (name, name), (0.1, -math.inf), name, (name,), name)
        again = Scores.load(found.save(tmp_path / f"{k}"))
        assert known(again) == known(found), name
    text = (tmp_path / "0" / "scores.csv").read_text(encoding="utf-8")
    before = csv.field_size_limit(10**6)
    read = list(csv.reader(io.StringIO((tmp_path / "0" / "scores.csv").read_bytes().decode(), newline="")))
    csv.field_size_limit(before)
    assert len(read) == 1 + 2 * len(NAMES) and all(len(row) == 7 for row in read)
    for row in read[1:]:
        assert not any(cell.startswith(table.FORMULA) for cell in (row[0], row[1], row[3]))
    assert text.count("-inf") == len(NAMES)  # numbers stay numbers


def test_scores_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ResultError, match="the same metrics"):
        Scores({"a": {"m": (1.0,)}, "b": {"n": (1.0,)}}, ("x",), ("",), (1.0,), "score")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(60)
def test_files_that_are_none_are_refused_at_once(kind: str, tmp_path: Path) -> None:
    folder, load = copied(kind, tmp_path / "out"), KINDS[kind][1]
    for path in list(folder.iterdir()):
        for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")):
            path.rename(tmp_path / "away")
            make(path)
            if path.suffix in (".json", ".npz", ".csv"):
                with pytest.raises(ResultError, match=r"^Cannot load") as caught:
                    load(folder)
                assert "\n" not in str(caught.value)
            if kind == "scores":
                with pytest.raises(ResultError, match=" there "):
                    made(kind).save(folder)
            remove(path)
            (tmp_path / "away").rename(path)
    assert known(load(folder)) == known(made(kind))


def test_a_huge_manifest_is_not_read(tmp_path: Path) -> None:
    explanation().save(tmp_path / "out")
    with (tmp_path / "out" / "manifest.json").open("r+b") as file:
        file.truncate(2**33)
    with pytest.raises(ResultError, match=r"bad manifest \(it has more than"):
        Explanation.load(tmp_path / "out")


@pytest.mark.slow
def test_a_disk_that_runs_full_leaves_the_earlier_result(tmp_path: Path) -> None:
    """On a small file system of its own, where the system lets us have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(disk)], capture_output=True, check=False
    ).returncode:
        pytest.skip("no file system of our own")
    try:
        why, other = explanation()[0], explanation()[1]
        why.save(disk / "out")
        (disk / "fill").write_bytes(b"x" * (shutil.disk_usage(disk).free - 100_000))
        for folder in (disk / "out", disk / "new"):
            with pytest.raises(ResultError, match="No space left on device"):
                other.save(folder)
        assert (
            known(Explanation.load(disk / "out")) == known(why) and not left_over(disk) and not (disk / "new").exists()
        )
        (disk / "fill").unlink()
        other.save(disk / "out")
        assert known(Explanation.load(disk / "out")) == known(other)
    finally:
        subprocess.run(["umount", str(disk)], check=False)

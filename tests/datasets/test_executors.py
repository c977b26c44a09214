"""Shards give the same bytes wherever they are made, however often their workers are killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from foveal.datasets import processes
from foveal.datasets.deaths import KILLED, culprit
from foveal.datasets.parts import sealed_parts
from foveal.datasets.plan import Plan
from foveal.datasets.processes import Workers
from foveal.datasets.shard import Task, sizes
from foveal.errors import FovealError, ResultError
from tests.datasets.work import LAYOUT, Make, Means, done, drawn, parts, tasks, work


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan.of(drawn(tmp_path / "photos", 13), tmp_path / "photos", batch=2, shard=4)


def whole(out: Path) -> dict[str, list[Any]]:
    """All rows of all parts."""
    return pq.read_table(sorted(out.glob("part-*.parquet"))).to_pydict()  # type: ignore[no-any-return]


def test_workers_make_the_same_parts_and_every_row_once(plan: Plan, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert done(work(plan.root, here), tasks(plan)) == done(work(plan.root, there), tasks(plan), 2)
    assert parts(here) == parts(there) and len(parts(here)) == 4
    rows = whole(here)
    assert rows["id"] == list(range(13)) and rows["error"] == [None] * 13
    assert rows["uri"] == [f"{i:03d}.png" for i in range(13)] and rows["label"][:3] == ["c0", "c1", "c0"]


def test_the_next_shard_is_read_while_one_is_explained(plan: Plan, tmp_path: Path) -> None:
    read = threading.Event()

    class Waiting(Means):
        def read(self, picture: Any) -> Any:
            if str(picture).endswith("004.png"):  # the first of the second shard
                read.set()
            return super().read(picture)

        def rows(self, items: Any, pictures: Any) -> Any:
            assert items[0].id < 2 or read.wait(20), "the last batch of the first shard waits for the second shard"
            return super().rows(items, pictures)

    assert done(replace(work(plan.root, tmp_path / "out"), make=Make(Waiting())), tasks(plan))
    assert whole(tmp_path / "out")["error"] == [None] * 13


@pytest.mark.slow
def test_pictures_that_fail_are_rows_and_take_no_place_in_a_batch(plan: Plan, tmp_path: Path) -> None:
    before = tmp_path / "before"
    done(work(plan.root, before), tasks(plan))
    (plan.root / "001.png").write_bytes(b"no picture")
    (plan.root / "006.png").unlink()
    content = (plan.root / "009.png").read_bytes()
    (plan.root / "009.png").write_bytes(content[:60])
    for out in (here := tmp_path / "here", tmp_path / "there"):
        sealed = done(work(plan.root, out), tasks(plan), 2 * (out != here))
        assert [(part.rows, part.failed) for part in sealed] == [(4, 1), (4, 1), (4, 1), (1, 0)]
    assert parts(here) == parts(tmp_path / "there")
    rows, first = whole(here), whole(before)
    assert [i for i, error in enumerate(rows["error"]) if error] == [1, 6, 9]
    assert "format" in rows["error"][1] and "no such file" in rows["error"][6] and "damaged" in rows["error"][9]
    assert rows["score"][6] is None and rows["map"][6] is None and rows["shape"][6] is None
    assert rows["map"][0] == first["map"][0] and rows["score"][2:6] == first["score"][2:6]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_worker_changes_nothing(seed: int, plan: Plan, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    workers = Workers(work(plan.root, out, seconds=0.05), 2, lambda step: None)
    random_, killed = random.Random(seed), []

    def kill() -> None:
        import multiprocessing

        until = time.monotonic() + 30
        while not killed and time.monotonic() < until:
            time.sleep(random_.uniform(0, 0.3))
            for child in multiprocessing.active_children():
                if child.name == "foveal-worker" and child.pid and not killed:
                    os.kill(child.pid, signal.SIGKILL)
                    killed.append(child.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    sealed = list(workers.each(tasks(plan)))
    killer.join()
    assert killed and sorted(part.shard for part in sealed) == [0, 1, 2, 3]
    done(work(plan.root, other), tasks(plan))
    kept = {name: content for name, content in parts(out).items() if name.startswith("part-")}
    assert kept == parts(other)


@pytest.mark.slow
def test_the_picture_that_kills_its_workers_is_isolated(tmp_path: Path) -> None:
    plan = Plan.of(drawn(tmp_path / "photos", 5), tmp_path / "photos", batch=2, shard=2)
    out = tmp_path / "out"
    done(work(plan.root, out, deadly="003"), tasks(plan), 1)
    rows = whole(out)
    assert rows["error"] == [KILLED if i == 3 else None for i in range(5)]
    assert all((score is None) == (i == 3) for i, score in enumerate(rows["score"]))


@pytest.mark.parametrize("guilty", [0, 3, 6])
def test_the_search_halves_and_blames_nobody_without_proof(guilty: int) -> None:
    tries: list[int] = []

    def kills(items: Any) -> bool:
        tries.append(len(items))
        return guilty in items

    assert culprit(range(7), kills) == guilty and len(tries) <= 8  # type: ignore[arg-type]
    assert culprit(range(7), lambda items: False) is None  # type: ignore[arg-type]
    once = iter([True, *[False] * 20])
    assert culprit(range(2), lambda items: next(once)) is None  # type: ignore[arg-type]


class Unloadable:
    """It cannot be made."""

    def __call__(self) -> Means:
        raise FovealError("there is no such network")


@pytest.mark.slow
def test_what_workers_cannot_load_is_said(plan: Plan, tmp_path: Path) -> None:
    from dataclasses import replace

    mine = work(plan.root, tmp_path / "out")
    with pytest.raises(FovealError, match="no such network"):
        done(replace(mine, make=Unloadable()), tasks(plan), 1)
    with pytest.raises(FovealError, match="Cannot give this work to other processes"):
        done(replace(mine, make=lambda: Means()), tasks(plan), 2)
    assert parts(tmp_path / "out") == {}


def test_only_whole_parts_of_this_run_count(plan: Plan, tmp_path: Path) -> None:
    out, count = tmp_path / "out", sizes(tasks(plan))
    done(work(plan.root, out), tasks(plan))
    whole = parts(out)
    assert sorted(sealed_parts(out, "mine", count)) == [0, 1, 2, 3]
    (out / "part-00001.parquet").write_bytes(whole["part-00001.parquet"][:-9])
    (out / "part-00002.parquet").write_bytes(whole["part-00003.parquet"])
    assert sorted(sealed_parts(out, "mine", count)) == [0, 3]
    done(work(plan.root, out), [Task(shard, plan.items(shard)) for shard in (1, 2)])
    assert parts(out) == whole
    with pytest.raises(ResultError, match=r"part-00000\.parquet there is of another run"):
        sealed_parts(out, "another", count)


def test_a_full_disk_leaves_no_part_and_is_said(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    mine = work(plan.root, out)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResultError, match="No space left on device"):
        done(mine, tasks(plan))
    assert parts(out) == {}


def test_a_part_says_what_it_is_of(plan: Plan, tmp_path: Path) -> None:
    rows = mine_rows(plan)
    LAYOUT.write(tmp_path, 0, "mine", plan.items(0), rows)
    said = pq.read_schema(tmp_path / "part-00000.parquet").metadata
    assert said[b"foveal.run"] == b"mine" and said[b"foveal.shard"] == b"0" and said[b"foveal.failed"] == b"0"
    names = pq.read_schema(tmp_path / "part-00000.parquet").names
    assert names == ["id", "uri", "label", "predicted", "score", "notes", "error", "map", "scale", "shape"]


def mine_rows(plan: Plan) -> list[Any]:
    from dataclasses import replace

    shard = replace(work(plan.root, plan.root.parent / "unused"), make=Make(Means()))
    return shard.rows(Means(), Task(0, plan.items(0)))


@pytest.mark.timeout(60)
def test_a_worker_that_is_killed_as_it_starts_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    start = processes._SPAWN.Process.start

    def killed(process: Any) -> None:
        start(process)
        process.kill()
        process.join()

    monkeypatch.setattr(processes._SPAWN.Process, "start", killed)
    worker = processes._started(bytes(2**22))  # more than a pipe holds
    with pytest.raises(processes.WorkerEndedError):
        worker.hear()
    assert not worker.ready

"""Runs that are killed at random moments, and gone on with: the parts must be those of a run that nobody touched.

    python -m benchmarks.kills                              20 seeds of every target
    python -m benchmarks.kills --target driver --seeds 3

One seed kills, with signal 9 and at random moments, what its target names: one of the two workers of a driver, the
driver, an actor of a Ray cluster, a raylet with its actors, or the head of the cluster; and starts again what was
killed, but for the machine of a raylet, which has half of the actors: the run ends without it. `stopped` is a raylet
that is stopped with its actors, and goes on when the run is done. Among the pictures are a damaged one, one that is
gone, and one that says it has 60,000 × 60,000 pixels.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import foveal
from benchmarks.machines import Machines, command_line, wait_until
from benchmarks.runs import classifier, photos
from foveal.datasets.parquet import read_parquet
from foveal.models import Model

COUNT, SHARD, PAUSE = 64, 4, 0.03
WORKERS = {"worker": 2, "driver": 2, "actor": 3, "raylet": 4, "stopped": 4, "head": 3}
KILLS = {"worker": 3, "driver": 2, "actor": 2, "raylet": 1, "stopped": 1, "head": 1}
HOPELESS = 3
GONE = ("The head of the Ray cluster", "Cannot reach a Ray cluster")
"""What a run says whose head was killed while it ran, or while it joined."""


class Pause(nn.Module):
    """Takes its time, so that there is some to kill in."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(PAUSE)
        return x


def model() -> Model:
    quick = classifier(8, 32)
    return replace(quick, module=nn.Sequential(Pause(), quick.module))


def data_set(folder: Path) -> Path:
    """A table of pictures, of which three cannot be explained."""
    names = photos(folder, COUNT, 32, "png")
    damaged, missing, monstrous = (Path(names[COUNT // 4 * k]) for k in (1, 2, 3))
    damaged.write_bytes(damaged.read_bytes()[:60])
    missing.unlink()
    head = struct.pack(">II5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    monstrous.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", b"") + _chunk(b"IEND", b""))
    table = folder / "table.csv"
    table.write_text("path\n" + "\n".join(names) + "\n")
    return table


def explain(table: Path, out: Path, workers: int = 0, ray: str | None = None) -> None:
    """The run itself."""
    foveal.run(model(), table, out=out, workers=workers, ray=ray, batch=SHARD, shard=SHARD)


@dataclass
class Attempt:
    """A run that goes on until it is done, whatever is killed.

    Attributes:
        kills: how many there were.
        stamps: when each part that was there at a kill was written.
        again: how many parts were written anew after they had been there.
        stopped: processes that are to go on at the end.
    """

    target: str
    chance: random.Random
    table: Path
    out: Path
    machines: Machines | None = None
    kills: int = 0
    stamps: dict[str, int] = field(default_factory=dict)
    again: int = 0
    stopped: list[int] = field(default_factory=list)

    def whole(self) -> Attempt:
        """The same, once the run is done."""
        while True:
            driver = self._driver()
            while self.kills < KILLS[self.target] and self._moment(driver):
                self._kill(driver)
            _, said = driver.communicate()
            for name, stamp in _stamps(self.out).items():
                self.again += self.stamps.get(name, stamp) != stamp
            if driver.returncode == 0:
                self._go_on()
                return self
            beheaded = self.kills and self.target == "head" and any(words in said for words in GONE)
            if driver.returncode != -signal.SIGKILL and not beheaded:
                raise SystemExit(f"the run failed by itself: {said}")

    def _go_on(self) -> None:
        """What was stopped finds out that nobody waits for it, and ends; a machine that is lost is replaced."""
        for pid in self.stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: not any(command_line(pid) for pid in self.stopped), 30)
        if self.machines and self.target in ("raylet", "stopped"):
            self.machines.add()

    def _driver(self) -> subprocess.Popen[str]:
        call = [sys.executable, "-m", "benchmarks.kills", "--explain", str(self.table), "--out", str(self.out)]
        call += ["--workers", str(WORKERS[self.target])]
        if self.machines and self.machines.head:
            call += ["--ray", self.machines.address]
        environment = self.machines.environment if self.machines else None
        return subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=environment)

    def _moment(self, driver: subprocess.Popen[str]) -> bool:
        """Whether the driver still runs after some more parts and a while."""
        wanted = len(_stamps(self.out)) + self.chance.randrange(8)
        wait_until(lambda: len(_stamps(self.out)) >= wanted or driver.poll() is not None, 120)
        time.sleep(self.chance.uniform(0, 0.5))
        return driver.poll() is None

    def _kill(self, driver: subprocess.Popen[str]) -> None:
        machines = self.machines
        there = {
            "worker": lambda: children(driver.pid),
            "driver": lambda: [driver.pid],
            "actor": lambda: machines.actors() if machines else [],
            "raylet": lambda: machines.raylets if machines else [],
            "stopped": lambda: machines.raylets if machines else [],
            "head": lambda: [machines.head] if machines else [],
        }[self.target]()
        if not there:
            return
        self.stamps |= _stamps(self.out)
        victim = self.chance.choice(there)
        if machines and self.target == "stopped":
            self.stopped = machines.stop(victim)
        elif machines:
            machines.kill(victim)
        else:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        self.kills += 1


def children(process: int) -> list[int]:
    """The workers of a driver."""
    listed = Path(f"/proc/{process}/task/{process}/children")
    pids = [int(pid) for pid in listed.read_text().split()] if listed.exists() else []
    return [pid for pid in pids if b"spawn_main" in command_line(pid)]


def parts(out: Path) -> dict[str, bytes]:
    """The files of a run, but for its manifest, which knows how long it took."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.suffix == ".parquet"}


def check(out: Path, whole: Path) -> None:
    """Every number once, the same bytes, and no leftovers."""
    tables = [_table(path) for path in sorted(out.glob("part-*"))]
    ids = [id for table in tables for id in table["id"].to_pylist()]
    assert ids == list(range(COUNT)), ids
    assert sum(error is not None for table in tables for error in table["error"].to_pylist()) == HOPELESS
    assert parts(out) == parts(whole), f"other bytes: {different(out, whole)}"
    left = [path.name for path in out.iterdir() if path.name.startswith(".foveal-")]
    assert not left, f"leftovers: {left}"


def different(out: Path, whole: Path) -> list[str]:
    """Which cells are not alike."""
    return [
        f"{path.name} {name}: {a[name]} / {b[name]}"
        for path in sorted(whole.glob("part-*"))
        for a, b in [[_table(folder / path.name) for folder in (out, whole)]]
        for name in a.column_names
        if a[name] != b[name]
    ]


def _table(part: Path) -> Any:
    return read_parquet(BytesIO(part.read_bytes()))


def _stamps(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("part-*.parquet")}


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def main(targets: list[str], seeds: int, first: int = 0) -> None:
    with tempfile.TemporaryDirectory() as place:
        table, whole = data_set(Path(place) / "photos"), Path(place) / "whole"
        explain(table, whole)
        check(whole, whole)
        for target in targets:
            shared = Machines() if target in ("actor", "raylet", "stopped") else None
            with shared or nullcontext():
                for seed in range(first, first + seeds):
                    out, began = Path(place) / f"{target}-{seed}", time.perf_counter()
                    with Machines() if target == "head" else nullcontext(shared) as machines:
                        attempt = Attempt(target, random.Random(seed), table, out, machines).whole()
                    check(out, whole)
                    assert attempt.again <= WORKERS[target] * attempt.kills, f"{attempt.again} parts done twice"
                    print(f"{target} {seed}: {attempt.kills} kills, {len(parts(out)) - 1} parts alike, "
                          f"{attempt.again} done twice, {time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", nargs="*", choices=[*WORKERS], default=[*WORKERS])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--explain", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ray")
    given = parser.parse_args()
    from benchmarks import kills  # its network under the name that workers import

    if given.explain:
        kills.explain(given.explain, given.out, given.workers, given.ray)
    else:
        kills.main(given.target, given.seeds, given.first)

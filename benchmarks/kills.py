"""Runs that are killed at random moments, and gone on with: the parts must be those of a run that nobody touched.

    python -m benchmarks.kills            20 seeds
    python -m benchmarks.kills --seeds 3

One seed kills, with signal 9 and at random, the driver or one of its two workers, up to three times, and starts again
what was killed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import foveal
from benchmarks.runs import classifier, photos
from foveal.datasets.parquet import read_parquet

COUNT, BATCH, SHARD, KILLS = 240, 8, 16, 3


def explain(folder: Path, out: Path, workers: int) -> None:
    """The run itself."""
    foveal.run(classifier(8, 64), folder, out=out, workers=workers, batch=BATCH, shard=SHARD)


def killed(seed: int, folder: Path, out: Path) -> int:
    """Run until it is done, with kills in between; how many there were."""
    chance, kills = random.Random(seed), 0
    while True:
        call = [sys.executable, "-m", "benchmarks.kills", "--explain", str(folder), "--out", str(out)]
        driver = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
        while kills < KILLS and driver.poll() is None:
            time.sleep(chance.uniform(0.5, 8))
            if driver.poll() is not None:
                break
            victim = chance.choice([driver.pid, *children(driver.pid)])
            try:
                os.kill(victim, signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                continue
        _, said = driver.communicate()
        if driver.returncode == 0:
            return kills
        if driver.returncode != -signal.SIGKILL:
            raise SystemExit(f"seed {seed}: the run failed by itself: {said}")


def children(process: int) -> list[int]:
    """The workers of a driver."""
    found = Path(f"/proc/{process}/task/{process}/children")
    pids = [int(pid) for pid in found.read_text().split()] if found.exists() else []
    return [pid for pid in pids if b"spawn_main" in _line(pid)]


def _line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def parts(out: Path) -> dict[str, bytes]:
    """The files of a run, but for its manifest, which knows how long it took."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.suffix == ".parquet"}


def check(out: Path) -> None:
    """Every number once."""
    ids = [id for path in sorted(out.glob("part-*")) for id in read_parquet(path.open("rb"))["id"].to_pylist()]
    assert ids == list(range(COUNT)), ids


def main(seeds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder, whole = Path(place) / "photos", Path(place) / "whole"
        photos(folder, COUNT, 64, "png")
        explain(folder, whole, 0)
        check(whole)
        for seed in range(seeds):
            out = Path(place) / f"run-{seed}"
            began = time.perf_counter()
            kills = killed(seed, folder, out)
            assert parts(out) == parts(whole), f"seed {seed}: other bytes"
            assert not [path for path in out.iterdir() if path.name.startswith(".foveal-")], "leftovers"
            print(f"seed {seed}: {kills} kills, {len(parts(out)) - 1} parts alike, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--explain", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.explain:
        explain(given.explain, given.out, 2)
    else:
        main(given.seeds)

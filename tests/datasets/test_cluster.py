"""A cluster of several machines, all on this one: what is killed, stopped or lost changes no byte of a run."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from benchmarks import kills
from benchmarks.machines import Machines, wait_until

from foveal.errors import ResultError

if TYPE_CHECKING:
    from benchmarks.kills import Attempt

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(240),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, of which one is damaged, one is gone, and one is monstrous."""
    return kills.data_set(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in this process that nobody touched."""
    out = tmp_path_factory.mktemp("whole")
    kills.explain(table, out)
    return out


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with Machines(cpus=1) as several:
        yield several


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker on each machine, and one kill of a driver: what takes time here is that processes import torch."""
    monkeypatch.setattr(kills, "WORKERS", dict.fromkeys(kills.WORKERS, 2))
    monkeypatch.setitem(kills.KILLS, "driver", 1)


def attempt(target: str, table: Path, out: Path, machines: Machines) -> Attempt:
    return kills.Attempt(target, random.Random(target), table, out, machines)


@pytest.mark.parametrize("target", ["actor", "raylet", "stopped", "driver"])
def test_what_is_killed_or_stopped_changes_nothing(
    target: str, table: Path, whole: Path, machines: Machines, tmp_path: Path
) -> None:
    done = attempt(target, table, tmp_path / "out", machines).whole()
    assert done.kills and done.again <= kills.WORKERS[target] * done.kills
    kills.check(tmp_path / "out", whole)


def test_two_drivers_on_one_folder(table: Path, whole: Path, machines: Machines, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = attempt("driver", table, out, machines)._driver()
    assert wait_until(lambda: any(out.glob("part-*")))
    with pytest.raises(ResultError, match="Another program is working on the run"):
        kills.explain(table, out, 1, machines.address)
    assert first.communicate()[1] is not None and first.returncode == 0
    kills.check(out, whole)


def test_the_head_is_gone_and_the_run_goes_on_without_a_cluster(
    table: Path, whole: Path, machines: Machines, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver = attempt("head", table, out, machines)._driver()
    assert wait_until(lambda: any(out.glob("part-*")))
    for actor in machines.actors():  # or they would finish without their head
        os.kill(actor, signal.SIGSTOP)
    machines.kill(machines.head)
    _, said = driver.communicate()
    assert driver.returncode == 1 and kills.GONE[0] in said.strip().splitlines()[-1], said
    sealed = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    kills.explain(table, out)
    kills.check(out, whole)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in sealed.items())

"""A disk that fills up in the middle of a run: one sentence, nothing lost, and the run goes on when there is room."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import foveal
from foveal.errors import ResultError
from tests.runs.photos import drawn, parts, ran

FREE = 7 * 4096
"""Bytes, in pages of a file system in memory: enough for the manifest, the plan and some parts."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], object]]]:
    """A folder on a small disk that is nearly full, and what makes room there.

    Where nothing may be mounted, files may not be larger than a part instead.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mounted = not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True, check=False
        ).returncode
    except OSError:
        mounted = False
    if mounted:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(512 * 1024 - FREE))
        try:
            yield disk / "out", ballast.unlink
        finally:
            subprocess.run(["umount", disk], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        yield disk / "out", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_on_a_full_disk_goes_on_when_there_is_room(
    small: tuple[Path, Callable[[], object]], tmp_path: Path
) -> None:
    out, make_room = small
    photos = drawn(tmp_path / "photos", 40)
    with pytest.raises(ResultError, match=r"Cannot write .*: (No space left on device|File too large)\.$"):
        ran(photos, out)
    there = parts(out) if out.exists() else {}
    stamps = {name: (out / name).stat().st_mtime_ns for name in there if name.startswith("part-")}
    assert len(stamps) < 10 and bool(stamps) == out.parent.is_mount()
    assert not [path for path in out.glob(".foveal-*") if path.stat().st_size]
    make_room()
    run = ran(photos, out)
    ran(photos, tmp_path / "whole")
    assert len(run) == 40 and parts(out) == parts(tmp_path / "whole")
    assert {name: (out / name).stat().st_mtime_ns for name in stamps} == stamps
    assert len(foveal.Run.load(out)) == 40

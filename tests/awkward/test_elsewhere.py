"""Every verb and method on a device that is not the processor, without one (`elsewhere.py`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_nothing_mixes_tensors_of_two_devices_and_every_number_is_that_of_the_processor() -> None:
    known = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.awkward.elsewhere"], cwd=ROOT, env=known, capture_output=True,
        text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *lines, count = done.stdout.splitlines()
    found = [line for line in lines if not line.startswith("planted: ")]
    assert not found and int(count.split()[0]) > 60, done.stdout
    assert [line.split(":")[1] for line in lines] == [" image here", " mask here", " numpy"], "mixing was not noticed"

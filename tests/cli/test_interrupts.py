"""Ctrl-C at any moment, also while libraries load, is "interrupted" and 130."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Jobs in the background of a shell begin with interrupts ignored.
CODE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from foveal.cli import main; print('ready', flush=True); main()"
)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5, 1.0, 1.6])
def test_in_the_first_seconds(seconds: float, tmp_path: Path) -> None:
    words = ["visualize", "-m", "demo", "--layer", "stage3", "--channel", "1", "--steps", "100000", "-o", "out"]
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.count(b"foveal: interrupted") == 1 and b"Traceback" not in said and b"Error" not in said


def test_what_a_library_makes_of_it(tmp_path: Path) -> None:
    """A library that turns an interruption into an error of its own."""
    (tmp_path / "net.py").write_text(
        "import os, signal\n"
        "def make():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        while True: pass\n"
        "    except KeyboardInterrupt:\n"
        "        raise ImportError('cannot load module more than once per process')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", CODE, "stages", "net.py:make"], capture_output=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 130 and done.stderr.rstrip().endswith(b"interrupted"), done.stderr


def test_interrupts_that_are_ignored_stay_so() -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from foveal.cli import interrupts; "
        "interrupts.watch(); print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"

"""A forked process does and says what one that Python starts does and says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked

PROGRAMS = {
    "words": "import os, sys; print(sys.argv, os.getcwd(), __name__); print('ä', file=sys.stderr)",
    "a status": "import sys; print('left'); sys.exit(3)",
    "a sentence": "import sys; sys.exit('no')",
    "an error": "1 / 0",
    "a warning": "import warnings; warnings.warn('mind')",
    "the end": "import atexit, threading, time; atexit.register(print, 'last'); "
    "threading.Thread(target=lambda: (time.sleep(0.1), print('first'))).start()",
    "a signal": "import os; os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=[*PROGRAMS])
def test_it_is_like_one_of_its_own(program: str, tmp_path: Path) -> None:
    own = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error", "-c", program, "a", "1"], cwd=tmp_path, capture_output=True,
        text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    done = forked.code(program, "a", 1, warnings="error", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (own.returncode, own.stdout)
    assert done.stderr.splitlines()[-1:] == own.stderr.splitlines()[-1:]


def test_nothing_of_foveal_is_there_before_it_is_imported() -> None:
    done = forked.code(
        "import sys; print([name for name in sys.modules if name.startswith(('foveal', 'tests', 'PIL'))])"
    )
    assert done.stdout == "[]\n", done.stderr


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(AssertionError, match="more than 1 s"):
        forked.code("while True: pass", timeout=1)

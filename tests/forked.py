"""Processes that are new but for `import torch`, which takes three seconds: forks of one that has done it, and no more.

`run` is what `subprocess.run([sys.executable, …], capture_output=True)` is, for tests of which the start of Python is
not the point: standard output and standard error are files, every import of foveal is a first one, and each process
ends as Python's do. What an interpreter reads as it starts (PYTHONUTF8, PYTHONIOENCODING, PYTHONPATH) it has not read.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# It runs at the top of `__main__`, so that a child goes on after the loop as a program of its own. A child does what
# Python does as it ends, except to take torch apart, which takes it a second.
_PARENT = """
import atexit, gc, json, os, runpy, signal, sys, threading, warnings
import torch
gc.freeze()
for line in sys.stdin:
    asked = json.loads(line)
    if not (child := os.fork()):
        break
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
else:
    sys.exit()
for number, name in enumerate((os.devnull, asked["out"], asked["err"])):
    file = os.open(name, os.O_RDWR)
    os.dup2(file, number)
    os.close(file)
signal.alarm(asked["timeout"])
os.chdir(asked["cwd"])
os.environ.clear()
os.environ.update(asked["env"])
sys.path[0] = asked["cwd"] if asked["module"] else ""
sys.argv = asked["argv"]
for action in asked["warnings"]:
    warnings.simplefilter(action)
status = 0
try:
    if asked["module"]:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    else:
        exec(compile(asked["code"], "<string>", "exec"), {"__name__": "__main__"})
except SystemExit as error:
    status = error.code if isinstance(error.code, int) else int(error.code is not None)
    if status and not isinstance(error.code, int):
        print(error.code, file=sys.stderr)
except BaseException:
    sys.excepthook(*sys.exc_info())
    status = 1
threading._shutdown()
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)
"""


def foveal(*words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: int = 120) -> Done:
    """`python -m foveal WORDS`."""
    return _run("foveal", "", ["foveal", *map(str, words)], cwd, env, timeout)


def code(
    text: str, *words: object, warnings: str = "", cwd: Path | None = None, env: Mapping[str, str] | None = None,
    timeout: int = 120,
) -> Done:  # fmt: skip
    """`python -W WARNINGS -c TEXT WORDS`."""
    return _run("", text, ["-c", *map(str, words)], cwd, env, timeout, warnings)


Done = subprocess.CompletedProcess[str]


def _run(
    module: str, text: str, argv: list[str], cwd: Path | None, env: Mapping[str, str] | None, timeout: int,
    warnings: str = "",
) -> Done:  # fmt: skip
    parent = _parent()
    assert parent.stdin is not None and parent.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder, name) for name in ("out", "err"))
        out.touch(), err.touch()
        asked = {
            "module": module, "code": text, "argv": argv, "cwd": str(cwd or Path.cwd()), "timeout": timeout,
            "env": dict(os.environ if env is None else env), "out": str(out), "err": str(err),
            "warnings": [warnings] if warnings else [],
        }  # fmt: skip
        parent.stdin.write(json.dumps(asked) + "\n")
        parent.stdin.flush()
        status = int(parent.stdout.readline())
        assert status != -14, f"took more than {timeout} s: {argv}: {err.read_text('utf-8')}"
        return subprocess.CompletedProcess(argv, status, out.read_text("utf-8"), err.read_text("utf-8"))


@cache
def _parent() -> subprocess.Popen[str]:
    """The process that forks; it ends with this one, at the latest when its standard input is closed."""
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"}
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=known, cwd="/"
    )
    atexit.register(parent.communicate)
    return parent

"""Writers that are killed: at each step that they take in the file system, one after the other, and at random moments.

Everything happens in children that are forked from this process, so that nothing is imported twice.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "shutil.rmtree"}
"""What Python tells its audit hooks before it does it; os.replace is a rename, too."""


def kills(usual: int) -> int:
    """How often a writer is killed at random; FOVEAL_KILLS sets it."""
    return int(os.environ.get("FOVEAL_KILLS", str(usual)))


def killed_at(step: int, write: Callable[[], Any]) -> bool:
    """Whether the writer was killed before step number `step`, or ended before that."""

    def child() -> None:
        left = [step]

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in STEPS and not _other(event, arguments):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        write()

    return _ended(_forked(child))


def killed_after(seconds: float, write: Callable[[], Any]) -> bool:
    """Whether the writer was killed after this time, or ended before."""
    number = _forked(write)
    time.sleep(seconds)
    os.kill(number, signal.SIGKILL)
    return _ended(number)


def signaled(what: signal.Signals, when: Callable[[], bool], write: Callable[[], Any], *, longest: float = 60) -> int:
    """The exit status of a writer that got a signal as soon as something was the case."""
    number = _forked(write)
    until = time.monotonic() + longest
    while not when() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(number, what)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def moments(count: int, seed: int, longest: float) -> list[float]:
    """When to kill: soon mostly, late now and then."""
    draw = random.Random(seed)
    return [longest * draw.random() ** 2 for _ in range(count)]


def together(*writers: Callable[[], Any]) -> list[int]:
    """Exit codes of writers that run at once: 0 for those that ended well."""
    numbers = [_forked(writer) for writer in writers]
    return [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in numbers]


def left_over(folder: Path) -> list[str]:
    """What writers left behind, anywhere below."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".foveal-*"))


def _other(event: str, arguments: tuple[Any, ...]) -> bool:
    """Reading source, libraries and what the system says of itself is no step of a writer."""
    if event != "open":
        return False
    path, *_ = arguments
    return (
        isinstance(path, int) or str(path).startswith(("/proc", "/usr", "/sys")) or str(path).endswith((".py", ".pyc"))
    )


def _forked(write: Callable[[], Any]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of this process do not go on in the child
        number = os.fork()
    if number == 0:
        code = 1
        signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs of a shell may begin with it ignored
        try:
            write()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException as error:  # noqa: BLE001
            print(f"{type(error).__name__}: {error}", file=sys.__stderr__, flush=True)
        finally:
            os._exit(code)
    return number


def _ended(number: int) -> bool:
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    assert code in (0, -signal.SIGKILL), f"the writer failed: {code}"
    return code != 0

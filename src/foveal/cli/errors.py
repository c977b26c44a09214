"""What a command says and returns when it cannot do what was asked.

0    done
1    failed; also where some of several images could not be read
2    misuse: a line that cannot be parsed (typer says so itself), or an unknown class, layer, method, metric or model
130  interrupted with Ctrl-C
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from foveal.cli import interrupts
from foveal.cli.console import error as say_error
from foveal.cli.console import info
from foveal.cli.interrupts import INTERRUPTED
from foveal.cli.wording import as_options
from foveal.errors import FovealError, FovealWarning, UnknownName
from foveal.storage.leftovers import is_temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAILED, MISUSED = 1, 2
_tracebacks = False


def show_tracebacks() -> None:
    """From now on, let exceptions through as they are."""
    global _tracebacks
    _tracebacks = True


@contextmanager
def exit_status(interruption: Callable[[], str] = lambda: "interrupted") -> Iterator[None]:
    """Failures inside as a sentence on standard error and an exit status.

    Args:
        interruption: what is said after Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        said = as_options(str(stop))  # by a verb that knows what it leaves
        _end(lambda: said or interruption())
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise
    except Exception as error:
        if interrupts.happened():
            _end(interruption)
        if _tracebacks:
            raise
        say_error(_sentence(error))
        raise typer.Exit(MISUSED if isinstance(error, UnknownName) else FAILED) from None


def _end(interruption: Callable[[], str]) -> NoReturn:
    say_error(interruption())
    interrupts.reported()
    raise typer.Exit(INTERRUPTED) from None


def _sentence(error: Exception) -> str:
    if isinstance(error, FovealError):
        return as_options(str(error))
    if isinstance(error, OSError):
        where = f" {_known(str(error.filename))!r}" if error.filename else ""
        return f"Cannot read or write{where}: {error.strerror or error}."
    reason = " ".join(str(error).split())[:300]
    return f"unexpected error, {type(error).__name__}: {reason} (run again with --traceback to see where)"


def _known(path: str) -> str:
    """The path, of a temporary file the folder that it lies in."""
    at = Path(path)
    hidden = [part for part in at.parts if is_temporary(part)]
    return str(Path(*at.parts[: at.parts.index(hidden[0])])) if hidden else path


@contextmanager
def own_warnings() -> Iterator[None]:
    """Warnings of foveal's own as notes; those of libraries, which are for programmers, only with --traceback."""
    show, heard = warnings.showwarning, set()

    def as_note(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if issubclass(category, FovealWarning):
            if str(message) not in heard:
                info(f"note: {message}")
            heard.add(str(message))
        elif _tracebacks:
            show(message, category, *rest, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", FovealWarning)
        warnings.showwarning = as_note
        yield

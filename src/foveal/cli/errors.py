"""What a command says and returns when it cannot do what was asked.

0    done
1    failed; also where one of many pictures could not be read
2    misused: a line that cannot be parsed (typer says so itself), or a name that nothing bears
130  interrupted
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from foveal.cli.console import error as say_error
from foveal.cli.console import info
from foveal.cli.wording import as_options
from foveal.errors import FovealError, FovealWarning, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
_tracebacks = False


def show_tracebacks() -> None:
    """From now on, let exceptions through as they are."""
    global _tracebacks
    _tracebacks = True


@contextmanager
def exit_status() -> Iterator[None]:
    """Failures inside as a sentence on standard error and an exit status."""
    try:
        yield
    except KeyboardInterrupt:
        say_error("interrupted; what was finished before is kept.")
        raise typer.Exit(INTERRUPTED) from None
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise
    except Exception as error:
        if _tracebacks:
            raise
        say_error(_sentence(error))
        raise typer.Exit(MISUSED if isinstance(error, UnknownName) else FAILED) from None


def _sentence(error: Exception) -> str:
    if isinstance(error, FovealError):
        return as_options(str(error))
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return f"cannot use{where}: {error.strerror or error}; choose another folder with --out."
    reason = " ".join(str(error).split())[:300]
    return f"unexpected error, {type(error).__name__}: {reason} (run again with --traceback for the details)"


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

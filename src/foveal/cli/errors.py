"""What a command says and returns when it cannot do what was asked."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

from foveal.cli.console import answers_alone, complain, info
from foveal.errors import FovealError, FovealWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
_tracebacks = False


def show_tracebacks() -> None:
    """From now on, let exceptions through as they are."""
    global _tracebacks
    _tracebacks = True


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """The command with its failures told in a sentence: exit 1; 130 when interrupted."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with _own_words(), answers_alone():
                command(*args, **kwargs)
        except KeyboardInterrupt:
            complain("interrupted; what was finished before is kept.")
            raise typer.Exit(130) from None
        except FovealError as error:
            if _tracebacks:
                raise
            complain(str(error))
            raise typer.Exit(1) from None
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except OSError as error:
            if _tracebacks:
                raise
            where = f" {error.filename}" if error.filename else ""
            complain(
                f"cannot use{where}: {error.strerror or error}; choose another place with --out, or mend that one."
            )
            raise typer.Exit(1) from None
        except Exception as error:
            if _tracebacks:
                raise
            reason = " ".join(str(error).split())[:300]
            complain(f"unforeseen {type(error).__name__}: {reason} (run it again with --traceback for the whole story)")
            raise typer.Exit(1) from None

    return run


@contextmanager
def _own_words() -> Iterator[None]:
    """Warnings of foveal's own as notes; those of libraries, which are for programmers, only with --traceback."""
    show, said = warnings.showwarning, set()

    def told(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if issubclass(category, FovealWarning):
            if str(message) not in said:
                info(f"note: {message}")
            said.add(str(message))
        elif _tracebacks:
            show(message, category, *rest, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", FovealWarning)
        warnings.showwarning = told
        yield

"""What a command says and returns when it cannot do what was asked."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import typer

from foveal.errors import FovealError

if TYPE_CHECKING:
    from collections.abc import Callable

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
            command(*args, **kwargs)
        except KeyboardInterrupt:
            _say("interrupted; what was finished before is kept.")
            raise typer.Exit(130) from None
        except FovealError as error:
            if _tracebacks:
                raise
            _say(str(error))
            raise typer.Exit(1) from None
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except OSError as error:
            if _tracebacks:
                raise
            where = f" {error.filename}" if error.filename else ""
            _say(f"cannot use{where}: {error.strerror or error}; choose another place with --out, or mend that one.")
            raise typer.Exit(1) from None
        except Exception as error:
            if _tracebacks:
                raise
            reason = " ".join(str(error).split())[:300]
            _say(f"unforeseen {type(error).__name__}: {reason} (run it again with --traceback for the whole story)")
            raise typer.Exit(1) from None

    return run


def _say(sentence: str) -> None:
    print(f"foveal: {sentence}", file=sys.stderr)

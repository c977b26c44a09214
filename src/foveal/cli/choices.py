"""Options that take one of a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import typer

T = TypeVar("T", str, "str | None", "list[str] | None")


def one_of(*words: str) -> Callable[[T], T]:
    """A callback for an option: what is none of the words is misuse of the command line (exit status 2)."""

    def check(given: T) -> T:
        for word in [given] if isinstance(given, str) else given or []:
            if word not in words:
                raise typer.BadParameter(f"{word!r} is unknown: give {', '.join(words[:-1])} or {words[-1]}")
        return given

    return check

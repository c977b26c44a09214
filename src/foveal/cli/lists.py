"""Options that take several names: repeated or with commas between them, under the singular and the plural."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence  # typer reads the types of callbacks
from typing import Any

import typer

_PIECE = re.compile(r"(?:\[[^\]]*\]|[^,\[]|\[)+")


def repeatable(
    name: str,
    *short: str,
    metavar: str,
    help: str,
    callback: Callable[[list[str] | None], list[str] | None] | None = None,
) -> Any:
    """The option --NAME and --NAMEs of a list of names: `--method a --method b` and `--methods a,b` are the same.

    callback: checks the names, once they are separated.
    """

    def names(given: Sequence[str] | None) -> list[str] | None:
        each = _separated(given)
        return callback(each) if callback else each

    return typer.Option(
        f"--{name}", f"--{name}s", *short, metavar=metavar, callback=names,
        help=f"{help} Repeat it, or put commas between.",
    )  # fmt: skip


def separated(text: str) -> list[str]:
    """The names in a text, commas between.

    "gradcam,lrp-gamma" → two; "fam:weights=linear,metric=dot" → one, for options of a method follow its name with
    commas, too; "block[0,1]" → one.
    """
    names: list[str] = []
    for piece in _PIECE.findall(text):
        if names and _is_option(piece) and ":" in names[-1]:
            names[-1] += f",{piece}"
        elif piece.strip():
            names.append(piece.strip())
    return names


def _separated(given: Sequence[str] | None) -> list[str] | None:
    return list(_each(given)) if given else None


def _each(given: Sequence[str]) -> Iterator[str]:
    for text in given:
        names = separated(text)
        if not names:
            raise typer.BadParameter("give a name, or several with commas between")
        yield from names


def _is_option(piece: str) -> bool:
    """Whether it is KEY=VALUE, an option of the method before it, and no method with options of its own."""
    key, equals, _ = piece.partition("=")
    return bool(equals) and ":" not in key

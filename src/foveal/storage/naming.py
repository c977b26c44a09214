"""File names made of what people call things: no name leads elsewhere, and every file system takes it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import PurePath

LONGEST = 120
"""Bytes of a name: file systems take 255, and numbers, layers and endings are yet to be added."""

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³")}
"""Devices to Windows, whatever ending follows."""


def safe_name(text: str, *, most: int = LONGEST, instead: str = "picture") -> str:
    """The text as a file name, as like it as can be.

        "bird 1" → "bird 1"     "a/b:c" → "a_b_c"     ".." → "picture"     "con" → "_con"

    Args:
        text: any, also with characters that are none.
        most: bytes in UTF-8.
        instead: what a text is called of which nothing is left.
    """
    plain = unicodedata.normalize("NFC", text)
    plain = "".join("_" if _odd(character) else character for character in plain)
    plain = _shortened(plain.strip(" ."), most - 1).strip(" .")
    if plain.partition(".")[0].rstrip(" ").casefold() in RESERVED:
        plain = f"_{plain}"
    return plain or instead


def plain_name(text: str, *, most: int = LONGEST, instead: str = "_") -> str:
    """The same in letters, digits, dots and underscores alone."""
    return safe_name(re.sub(r"[^\w.]+", "_", text).strip("._"), most=most, instead=instead)


def distinct_names(texts: Iterable[str], *, instead: str = "picture") -> Iterator[str]:
    """A name for each, all of them different, also where capitals make no difference: bird, bird-2, Bird-3."""
    taken: set[str] = set()
    for text in texts:
        name = safe_name(text, instead=instead)
        names = (f"{name}-{number}" if number > 1 else name for number in count(1))
        free = next(candidate for candidate in names if _alike(candidate) not in taken)
        taken.add(_alike(free))
        yield free


def short_names(*sides: Sequence[str]) -> tuple[list[str], ...]:
    """The last parts of paths, as many for all of them as tell the paths of each side apart.

    ["a/1.png", "b/1.png"], ["c/2.png"] → ["a/1.png", "b/1.png"], ["c/2.png"]
    ["x/1.png", "x/2.png"], ["y/1.png"] → ["1.png", "2.png"], ["1.png"]
    """
    parts = [[PurePath(path).parts or (path,) for path in side] for side in sides]
    deepest = max((len(part) for side in parts for part in side), default=1)
    enough = (k for k in range(1, deepest) if all(len({p[-k:] for p in side}) == len(set(side)) for side in parts))
    depth = next(enough, deepest)
    return tuple([str(PurePath(*part[-depth:])) for part in side] for side in parts)


def _odd(character: str) -> bool:
    """Separators, what Windows keeps for itself, and what nobody sees: control characters, odd spaces, half letters."""
    return character in '/\\:*?"<>|' or not character.isprintable()


def _shortened(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _alike(name: str) -> str:
    return unicodedata.normalize("NFD", name).casefold()

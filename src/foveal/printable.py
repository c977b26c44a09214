"""Names that strangers chose, made harmless: for terminals, pages and files."""

from __future__ import annotations

import re

# Control characters (which a terminal obeys), line separators, marks that turn the direction of text around, and halves
# of characters, which is how Python keeps the bytes of file names that are no text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with everything that does not print written as an escape: "\\x1b[2J" for what would clear the screen."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines, whose breaks and tabs stay."""
    return re.sub("[^\n\t]+", lambda found: printable(found[0]), text)


def shown(value: object, *, most: int = 80) -> str:
    """A value as a person would write it, in a few words and one line, for a sentence about it."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, TypeError, RuntimeError, AttributeError, LookupError, ArithmeticError, MemoryError, OSError):
        # Of numbers with thousands of digits, and of strangers' classes.
        text = f"a {type(value).__name__}"
    return printable(text if len(text) <= most else f"{text[:most]}…")

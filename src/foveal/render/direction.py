"""Which pieces of a sentence are written to the left: each stays whole, and the sentence around it keeps its order.

The sentences are English, with strangers' names in them. The rules of Unicode (UAX 9) would draw the number of
"כלב 0.87" on the other side of the name, since they do not know where the name ends. Here a piece begins and ends with
letters that are written to the left, so that numbers and signs beside it stay where the sentence has them.
"""

from __future__ import annotations

import unicodedata
from html import escape

from foveal.errors import printable, printable_lines

LEFTWARD = ("R", "AL")
BETWEEN = " \u00a0-'\"’.،…"  # what may stand between two words of one name


def is_leftward(text: str) -> bool:
    """Whether any of its letters is written to the left."""
    return any(unicodedata.bidirectional(char) in LEFTWARD for char in text)


def directed(text: str) -> list[str]:
    """The text in pieces that are written to one side each, in the order of the sentence.

    directed("score of כלב קטן 0.87")  # ["score of ", "כלב קטן", " 0.87"]
    """
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = _end(text, start)
        pieces.append(text[start:end])
        start = end
    return pieces


def _end(text: str, start: int) -> int:
    """Where the piece that starts here ends."""
    if not is_leftward(text[start]):
        return next((at for at in range(start, len(text)) if is_leftward(text[at])), len(text))
    end = at = start + 1
    while at < len(text):
        if is_leftward(text[at]) or (at == end and _belongs(text[at])):
            end = at + 1
        elif not (text[at] in BETWEEN and at - end < 2):
            break
        at += 1
    return end


def _belongs(char: str) -> bool:
    """Marks of the letter before, and joiners."""
    return unicodedata.category(char).startswith("M") or char in "\u200c\u200d"


def html_text(text: str) -> str:
    """The text for a page, escaped; each piece that is written to the left is in an element of its own (`<bdi>`).

    What does not print is written as an escape, but for breaks and tabs.
    """
    return _isolated(printable_lines(text), "<bdi>", "</bdi>")


def isolated(text: str) -> str:
    """The text for SVG and attributes: escaped, in one line, each such piece between marks that set it apart."""
    return _isolated(printable(text), "\u2067", "\u2069")


def _isolated(text: str, start: str, end: str) -> str:
    pieces = ((escape(piece), is_leftward(piece)) for piece in directed(text))
    return "".join(f"{start}{piece}{end}" if leftward else piece for piece, leftward in pieces)

"""Words on pictures, in the one scalable font that Pillow brings."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from PIL import ImageFont

if TYPE_CHECKING:
    from PIL import ImageDraw

# The built-in font knows ASCII and little more.
_PLAIN = str.maketrans({"−": "-", "–": "-", "—": "-", "×": "x", "‘": "'", "’": "'", "→": ">", "≤": "<=", "≥": ">="})
_LETTERS = {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d"}


@cache
def font(size: float) -> ImageFont.FreeTypeFont:
    """Pillow's built-in font at a size in pixels."""
    built_in = ImageFont.load_default(size)
    assert isinstance(built_in, ImageFont.FreeTypeFont), "this Pillow was built without FreeType"
    return built_in


def drawable(text: str) -> str:
    """The text with every character that the font lacks replaced by the nearest that it has."""
    return "".join(_nearest(char) for char in text.translate(_PLAIN))


def wrap(text: str, size: float, width: float) -> list[str]:
    """The drawable text broken into lines that fit a width in pixels; a word too long for it is cut."""
    lines: list[str] = []
    for word in drawable(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(word, size, width))
    return lines


def shorten(text: str, size: float, width: float) -> str:
    """The drawable text, its end cut off where it does not fit a width in pixels."""
    text = drawable(text)
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: float,
    *,
    ink: tuple[int, int, int],
    anchor: str = "la",
) -> None:
    """The text at a point; `anchor` is the part of the text that lies there, in Pillow's letters."""
    draw.text(at, drawable(text), font=font(size), fill=ink, anchor=anchor)


@cache
def _nearest(char: str) -> str:
    if _has_glyph(char):
        return char
    plain = _LETTERS.get(char) or unicodedata.normalize("NFKD", char)
    kept = "".join(c for c in plain if not unicodedata.combining(c) and _has_glyph(c))
    return kept or "?"


@cache
def _has_glyph(char: str) -> bool:
    if char.isspace():
        return True
    drawn, missing = (bytes(font(16).getmask(c)) for c in (char, "\uffff"))
    return drawn != missing

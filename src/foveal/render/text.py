"""Words on images: in the scalable font that Pillow brings, and in others where it lacks letters."""

from __future__ import annotations

import re
import unicodedata
import warnings
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from foveal.errors import FovealWarning, printable
from foveal.render.fonts import BUILT_IN, Face, face_with, is_shaped, own_faces, script

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

# The built-in font knows ASCII and little more.
_PLAIN = str.maketrans({"−": "-", "–": "-", "—": "-", "×": "x", "‘": "'", "’": "'", "→": ">", "≤": "<=", "≥": ">="})
_LETTERS = {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d"}
_JOINERS = "\u200c\u200d"  # of the marks that nobody sees those that change how letters look

Runs = tuple[tuple[str, Face], ...]
"""Pieces of a text, each with the font that draws it."""


def font(size: float) -> ImageFont.FreeTypeFont:
    """Pillow's built-in font at a size in pixels."""
    return BUILT_IN.at(size)


def drawable(text: str) -> str:
    """The text with every character that the built-in font lacks replaced by the nearest that it has."""
    return "".join(_nearest(char) for char in text.translate(_PLAIN))


def wrap(text: str, size: float, width: float) -> list[str]:
    """The text broken into lines that fit a width in pixels; a word too long for it loses its middle."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and length(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten_middle(word, size, width))
    return lines


def shorten(text: str, size: float, width: float) -> str:
    """The text, its end cut off where it does not fit a width in pixels."""
    if length(text, size) <= width:
        return text
    while text and length(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def shorten_middle(text: str, size: float, width: float) -> str:
    """The text without its middle where it does not fit a width in pixels: names often differ at their ends."""
    if length(text, size) <= width:
        return text
    kept = len(text) - 1
    while kept > 2 and length(_without_middle(text, kept), size) > width:
        kept -= 1
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def length(text: str, size: float) -> float:
    """How long the text is when it is drawn, in pixels."""
    return sum(face.at(size).getlength(run) for run, face in runs(text))


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: float,
    *,
    ink: tuple[int, int, int],
    anchor: str = "la",
) -> None:
    """The text at a point; `anchor` is the part of the text that lies there, in Pillow's letters.

    Warns of scripts for which no font was found; their letters are drawn as "?".
    """
    pieces = runs(text)
    _warn(text, pieces)
    if len(pieces) == 1:
        run, face = pieces[0]
        draw.text(at, run, font=face.at(size), fill=ink, anchor=anchor)
        return
    x, y = at[0] - {"l": 0, "m": 0.5, "r": 1}[anchor[0]] * length(text, size), at[1] + baseline(anchor[1], size)
    for run, face in pieces:
        draw.text((x, y), run, font=face.at(size), fill=ink, anchor="ls")
        x += face.at(size).getlength(run)


def baseline(anchor: str, size: float) -> float:
    """How far below a point letters stand whose top ("a"), middle ("m") or bottom ("d") is there."""
    above, below = (*own_faces(), BUILT_IN)[0].at(size).getmetrics()
    return {"a": above, "m": (above - below) / 2, "b": -below, "d": -below, "s": 0}[anchor]


def runs(text: str) -> Runs:
    """The text in pieces, each with the font that draws it."""
    return _runs(text, own_faces())


@lru_cache(4096)
def _runs(text: str, own: tuple[Face, ...]) -> Runs:
    """The text in pieces; spaces belong to what is before them, so that a phrase written to the left stays whole."""
    pieces: list[tuple[str, Face]] = []
    for token in re.split(r"(\s+)", _without_marks(text)):
        faced = [(token, pieces[-1][1])] if token.isspace() and pieces else _faced(token, own)
        for piece, face in faced:
            if pieces and pieces[-1][1] == face:
                pieces[-1] = (pieces[-1][0] + piece, face)
            elif piece:
                pieces.append((piece, face))
    # A space at the end of what is written to the left would stand before it.
    for i in range(len(pieces) - 1):
        (before, face), (after, other) = pieces[i], pieces[i + 1]
        spaces = before[len(before.rstrip()) :]
        pieces[i], pieces[i + 1] = (before.rstrip(), face), (spaces + after, other)
    return tuple(pieces) or (("", BUILT_IN),)


def _faced(word: str, own: tuple[Face, ...]) -> list[tuple[str, Face]]:
    """A word in one font if one has it all, else letter by letter."""
    primary = own[0] if own else BUILT_IN
    plain = "".join(char if primary.has(char) else char.translate(_PLAIN) for char in word)
    for face in (*own, BUILT_IN):
        if face.covers(plain):
            return [(plain, face)]
    lacking = next(char for char in plain if not primary.has(char))
    fallback = next((face for face in (*own, BUILT_IN) if face.has(lacking)), None) or face_with(lacking)
    if fallback and fallback.covers(word):
        return [(word, fallback)]
    return [_faced_letter(char, own) for char in plain]


def _faced_letter(char: str, own: tuple[Face, ...]) -> tuple[str, Face]:
    face = next((face for face in (*own, BUILT_IN) if face.has(char)), None) or face_with(char)
    return (char, face) if face else (_nearest(char), BUILT_IN)


def _warn(text: str, pieces: Runs) -> None:
    """FovealWarning for what is drawn as a question mark and is none."""
    if not is_shaped() and any(unicodedata.bidirectional(char) in ("R", "AL") for char in text):
        warnings.warn(
            f"this Pillow has no raqm, so the letters of {printable(text)[:60]!r} are not joined and in the wrong "
            "order",
            FovealWarning,
            stacklevel=3,
        )
    drawn = "".join(run for run, _ in pieces)
    if drawn.count("?") == text.count("?"):
        return
    letters = [char for char in _without_marks(text) if not unicodedata.category(char).startswith(("C", "Z"))]
    if lost := [char for char in letters if drawable(char) == "?" and char not in drawn]:
        kinds = ", ".join(dict.fromkeys(map(script, lost)))
        warnings.warn(
            f"no font here has {kinds}, so {printable(text)[:60]!r} is drawn with question marks: "
            "name a font file that has them by FOVEAL_FONT",
            FovealWarning,
            stacklevel=3,
        )


def _without_marks(text: str) -> str:
    return "".join(char for char in text if char in _JOINERS or unicodedata.category(char) != "Cf")


@cache
def _nearest(char: str) -> str:
    if BUILT_IN.has(char):
        return char
    plain = _LETTERS.get(char) or unicodedata.normalize("NFKD", char)
    kept = "".join(c for c in plain if not unicodedata.combining(c) and BUILT_IN.has(c))
    return kept or "?"

"""Words on images: in the scalable font that Pillow brings, and in others where it lacks letters."""

from __future__ import annotations

import re
import unicodedata
import warnings
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from foveal.errors import FovealWarning, printable
from foveal.render.direction import directed, is_leftward
from foveal.render.fonts import BUILT_IN, Face, face_with, is_shaped, is_unseen, own_faces, script
from foveal.render.graphemes import graphemes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL import ImageDraw, ImageFont

# The built-in font knows ASCII and little more.
_PLAIN = str.maketrans({"−": "-", "–": "-", "—": "-", "×": "x", "‘": "'", "’": "'", "→": ">", "≤": "<=", "≥": ">="})
_LETTERS = {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d"}

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
    letters = graphemes(text)
    while letters and length("".join(letters) + "…", size) > width:
        letters.pop()
    return "".join(letters).rstrip() + "…"


def shorten_middle(text: str, size: float, width: float) -> str:
    """The text without its middle where it does not fit a width in pixels: names often differ at their ends."""
    if length(text, size) <= width:
        return text
    letters = graphemes(text)
    kept = len(letters) - 1
    while kept > 2 and length(_without_middle(letters, kept), size) > width:
        kept -= 1
    return _without_middle(letters, kept)


def _without_middle(letters: list[str], kept: int) -> str:
    return "".join((*letters[: kept - kept // 2], "…", *letters[len(letters) - kept // 2 :]))


def length(text: str, size: float) -> float:
    """How long the text is when it is drawn, in pixels."""
    return sum(_advance(run, face, size) for run, face in runs(text))


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

    Letters of all fonts stand on the line where those of the first would. Warns of scripts for which no font was found;
    their letters are drawn as "?".
    """
    pieces = runs(text)
    _warn(text, pieces)
    x, y = at[0] - {"l": 0, "m": 0.5, "r": 1}[anchor[0]] * length(text, size), at[1] + baseline(anchor[1], size)
    for run, face in pieces:
        draw.text((x, y), run, font=face.at(size), fill=ink, anchor="ls", direction=_direction(run, face))
        x += _advance(run, face, size)


def _advance(run: str, face: Face, size: float) -> float:
    return face.at(size).getlength(run, direction=_direction(run, face))


def _direction(run: str, face: Face) -> str | None:
    """To which side a font sets its letters; Pillow takes none where it cannot shape them, as in its own font."""
    if face == BUILT_IN or not is_shaped():
        return None
    return "rtl" if is_leftward(run) else "ltr"


def baseline(anchor: str, size: float) -> float:
    """How far below a point letters stand whose top ("a"), middle ("m") or bottom ("d") is there."""
    above, below = (*own_faces(), BUILT_IN)[0].at(size).getmetrics()
    return {"a": above, "m": (above - below) / 2, "b": -below, "d": -below, "s": 0}[anchor]


def runs(text: str) -> Runs:
    """The text in pieces from left to right, each with the font that draws it."""
    return _runs(text, own_faces())


@lru_cache(4096)
def _runs(text: str, own: tuple[Face, ...]) -> Runs:
    pieces: list[tuple[str, Face]] = []
    for directed_piece in directed(_composed(text)):
        if is_leftward(directed_piece):
            pieces += reversed(_merged(_faced(directed_piece, own)))
            continue
        faced: list[tuple[str, Face]] = []
        for token in re.split(r"(\s+)", directed_piece):
            faced += [(token, faced[-1][1])] if token.isspace() and faced else _faced(token, own)
        pieces += _merged(faced)
    return tuple(pieces) or (("", BUILT_IN),)


def _merged(faced: Iterable[tuple[str, Face]]) -> list[tuple[str, Face]]:
    """Neighbors in one font as one piece."""
    pieces: list[tuple[str, Face]] = []
    for piece, face in faced:
        if pieces and pieces[-1][1] == face:
            pieces[-1] = (pieces[-1][0] + piece, face)
        elif piece:
            pieces.append((piece, face))
    return pieces


def _faced(word: str, own: tuple[Face, ...]) -> list[tuple[str, Face]]:
    """A word in one font if one has it all, else letter by letter."""
    primary = own[0] if own else BUILT_IN
    plain = "".join(char if primary.has(char) else char.translate(_PLAIN) for char in word)
    for face in (*own, BUILT_IN):
        if face.covers(plain):
            return [(plain, face)]
    lacking = next(char for char in plain if not primary.has(char))
    if (fallback := _face_of(lacking, own)) and fallback.covers(word):
        return [(word, fallback)]
    return [piece for letter in graphemes(plain) for piece in _faced_letter(letter, own)]


def _faced_letter(letter: str, own: tuple[Face, ...]) -> list[tuple[str, Face]]:
    """A letter with its marks in one font, else without what no font has."""
    face = next((face for face in (*own, BUILT_IN) if face.covers(letter)), None) or _face_of(letter[0], own)
    if face is None:
        return [(_nearest(letter[0]), BUILT_IN)]
    if face.covers(letter):
        return [(letter, face)]
    return [(char, at) if (at := _face_of(char, own)) else (_nearest(char), BUILT_IN) for char in letter]


def _face_of(char: str, own: tuple[Face, ...]) -> Face | None:
    return next((face for face in (*own, BUILT_IN) if face.has(char)), None) or face_with(char)


def _warn(text: str, pieces: Runs) -> None:
    """FovealWarning for what is drawn as a question mark and is none."""
    if not is_shaped() and is_leftward(text):
        warnings.warn(
            f"this Pillow has no raqm, so the letters of {printable(text)[:60]!r} are not joined and in the wrong "
            "order",
            FovealWarning,
            stacklevel=3,
        )
    drawn = "".join(run for run, _ in pieces)
    if drawn.count("?") == text.count("?"):
        return
    letters = [char for char in _composed(text) if not unicodedata.category(char).startswith(("C", "Z"))]
    if lost := [char for char in letters if drawable(char) == "?" and char not in drawn]:
        kinds = ", ".join(dict.fromkeys(map(script, lost)))
        warnings.warn(
            f"no font here has {kinds}, so {printable(text)[:60]!r} is drawn with question marks: "
            "name a font file that has them by FOVEAL_FONT",
            FovealWarning,
            stacklevel=3,
        )


def _composed(text: str) -> str:
    """The text with letters and their marks in one character where there is one, without marks that turn it around."""
    seen = (char for char in text if is_unseen(char) or unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFC", "".join(seen))


@cache
def _nearest(char: str) -> str:
    if BUILT_IN.has(char):
        return char
    plain = _LETTERS.get(char) or unicodedata.normalize("NFKD", char)
    kept = "".join(c for c in plain if not unicodedata.combining(c) and BUILT_IN.has(c))
    return kept or "?"

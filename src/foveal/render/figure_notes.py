"""The notes below a figure: each once, with the method and the photo that it is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from foveal.render.figures import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.render.drawable import Maps

ADVICE = ": pass task="
FOR_THE_KEYBOARD = re.compile(rf"{ADVICE}.*|: if the image should not be so flat, .*", re.DOTALL)
"""What tells a person at the keyboard what to do next; readers of a figure cannot."""
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def figure_notes(rows: Sequence[tuple[Sequence[Maps], int]], layers: Sequence[str]) -> list[str]:
    """Sentences: a note of some rows or methods names them, and notes that differ only in numbers are told once."""
    alike: dict[str, dict[str, list[tuple[int, str]]]] = {}  # by the note without numbers: the note, and who has it
    for k, (whys, _) in enumerate(rows):
        for why in whys:
            for note in dict.fromkeys(FOR_THE_KEYBOARD.sub("", note) for note in why.notes):
                alike.setdefault(NUMBER.sub("0", note), {}).setdefault(note, []).append((k, why.method))
    return [_told(notes, rows, layers) for notes in alike.values()]


def _told(
    notes: dict[str, list[tuple[int, str]]], rows: Sequence[tuple[Sequence[Maps], int]], layers: Sequence[str]
) -> str:
    note, bearers = next(iter(notes.items()))
    said = sentence(re.sub(r"(?<=\s)-(?=\d)", "−", note), layers)
    where, methods = ({bearer[place]: None for bearer in bearers} for place in (0, 1))
    about = [str(method) for method in methods] if {why.method for why in rows[0][0]} - set(methods) else []
    if len(where) < len(rows):
        about += [_photo(rows[k]) for k in range(len(rows)) if k in where]
    others = len({k for those in notes.values() for k, _ in those} - set(where))
    more = f"; with other numbers for {others} more" if others else ""
    return f"{said.removesuffix('.')} ({', '.join(about)}{more})." if about else said


def _photo(row: tuple[Sequence[Maps], int]) -> str:
    whys, i = row
    return re.split(r"[\\/]", whys[0].photos[i].source)[-1]

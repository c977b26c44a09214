"""The answers of a page with every long text once: maps that several views show, and pictures."""

from __future__ import annotations

import base64
import re

import numpy as np

LONG = 400  # characters
LARGE = 32 * 32  # positions of a map that "coarse" makes smaller
LONGEST = re.compile(rf'"([A-Za-z0-9+/=:;,.-]{{{LONG},}})"')
ALIKE = re.compile(r'"(~+\d+)"(?!:)')  # a text that looks like a stand-in gets one more "~"
MAP = re.compile(r'("rows":(\d+),"columns":(\d+),"values":)"([A-Za-z0-9+/=]+)"(?=,"scale":)')  # a `MapAnswer`


def once(answers: str, *, coarse: bool = False) -> tuple[list[str], str]:
    """The texts that occur several times, and the JSON with "~n" in the place of text n.

    Args:
        answers: JSON.
        coarse: see `foveal.report.page.studio_page`.
    """
    if coarse:
        answers = MAP.sub(lambda found: f'{found[1]}"{_steps(found[4], int(found[2]) * int(found[3]))}"', answers)
    counts: dict[str, int] = {}
    for text in LONGEST.findall(answers):
        counts[text] = counts.get(text, 0) + 1
    number = {text: n for n, text in enumerate(text for text, count in counts.items() if count > 1)}
    answers = ALIKE.sub(r'"~\1"', answers)
    return [*number], LONGEST.sub(lambda found: f'"~{number[found[1]]}"' if found[1] in number else found[0], answers)


def _steps(values: str, positions: int) -> str:
    """float16 of −1..1 as whole numbers from −127 to 127; −128 is not a number. Small maps stay as they are."""
    if positions < LARGE:
        return values
    relative = np.frombuffer(base64.b64decode(values), "<f2")
    assert relative.size == positions
    known = np.isfinite(relative)
    steps = np.where(known, np.rint(127 * np.where(known, relative.astype(np.float32), 0.0)), -128)
    return base64.b64encode(steps.astype(np.int8).tobytes()).decode()

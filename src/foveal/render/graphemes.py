"""What a reader takes for one letter, which may be several characters: a letter with its marks, a joined emoji, a flag.

An approximation of the extended grapheme clusters of Unicode (UAX 29), enough to cut names between them.
"""

from __future__ import annotations

import unicodedata

JOINER = "\u200d"
VIRAMA = 9  # the combining class of signs that join two consonants in the scripts of India


def graphemes(text: str) -> list[str]:
    """The text in letters as a reader counts them: "é" is one, and so are "नी" and "👩🏽‍🚀".

    graphemes("e\u0301a")  # ["e\u0301", "a"]
    """
    letters: list[str] = []
    for char in text:
        if letters and _continues(letters[-1], char):
            letters[-1] += char
        else:
            letters.append(char)
    return letters


def _continues(letter: str, char: str) -> bool:
    if letter[-1] in "\r\n":
        return False
    if _extends(char) or letter[-1] == JOINER:
        return True
    if unicodedata.combining(letter[-1]) == VIRAMA:
        return unicodedata.category(char).startswith("L")
    return _is_regional(char) and len(letter) == 1 and _is_regional(letter)


def _extends(char: str) -> bool:
    """Marks, joiners, variation selectors and the colors of skin."""
    return unicodedata.category(char).startswith("M") or char in "\u200c\u200d" or "\U0001f3fb" <= char <= "\U0001f3ff"


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"

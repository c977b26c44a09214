"""Class names: reading lists of them, and finding a class by what a person typed."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.errors import ModelError, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence


def find_label(labels: Sequence[str], text: str) -> int:
    """Index of the class that `text` names, whatever its case.

    The whole label counts first, then one of its synonyms ("tench" in "tench, Tinca tinca"), then whole words
    of it, then any part of it. The first of these that fits must fit one class alone: TargetError otherwise.

    >>> find_label(["jay", "blue jay", "crow, raven"], "Raven")
    2
    """
    wanted = " ".join(text.casefold().split())
    folded = [" ".join(label.casefold().split()) for label in labels]
    tests = (
        lambda label: label == wanted,
        lambda label: wanted in [synonym.strip() for synonym in label.split(",")],
        lambda label: f" {wanted} " in f" {_words(label)} ",
        lambda label: wanted in label,
    )
    for fits in tests if wanted else ():
        found = [index for index, label in enumerate(folded) if fits(label)]
        if len(found) == 1:
            return found[0]
        if found:
            raise TargetError(
                f"{text!r} may be any of {_listed(labels, found)}: give more of the name, or the number."
            )
    close = get_close_matches(wanted, folded, n=3, cutoff=0.6)
    hint = (
        f"did you mean {_listed(labels, [folded.index(label) for label in close])}?"
        if close
        else "give its number."
    )
    raise TargetError(f"No class of the {len(labels)} is named {text!r}: {hint}")


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Labels from a text file with one a line, or from a JSON list of strings."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"Cannot read labels from {path}: it is not a readable text file ({error})."
        ) from error
    if not text.lstrip().startswith("["):
        labels = tuple(line.strip() for line in text.splitlines())
        while labels and not labels[-1]:
            labels = labels[:-1]
    else:
        labels = _json_labels(text, path)
    if not labels:
        raise ModelError(f"Cannot read labels from {path}: it is empty; write one label a line.")
    return labels


def _json_labels(text: str, path: str | Path) -> tuple[str, ...]:
    try:
        labels = json.loads(text)
    except ValueError as error:
        raise ModelError(
            f"Cannot read labels from {path}: it starts like JSON, but is not ({error})."
        ) from error
    if not all(isinstance(label, str) for label in labels):
        raise ModelError(f"Cannot read labels from {path}: every item of its list must be a string.")
    return tuple(labels)


def _words(label: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in label).split())


def _listed(labels: Sequence[str], indices: Sequence[int], most: int = 6) -> str:
    shown = ", ".join(f"{labels[index]!r} ({index})" for index in indices[:most])
    return shown + (f" and {len(indices) - most} more" if len(indices) > most else "")

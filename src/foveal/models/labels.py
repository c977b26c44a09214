"""Lists of class names."""

from __future__ import annotations

import json
from pathlib import Path

from foveal.errors import ModelError


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Labels from a text file with one a line, or from a JSON list of strings."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"Cannot read labels from {path}: it is not a readable text file ({error}).") from error
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
        raise ModelError(f"Cannot read labels from {path}: it starts like JSON, but is not ({error}).") from error
    if not all(isinstance(label, str) for label in labels):
        raise ModelError(f"Cannot read labels from {path}: every item of its list must be a string.")
    return tuple(labels)

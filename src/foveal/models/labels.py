"""Lists of class names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from torch import nn

from foveal.engine.numerals import whole
from foveal.errors import ModelError, shown
from foveal.storage.reading import DAMAGE, read_text, reason

NO_LISTS = (str, bytes, bytearray, os.PathLike, Mapping, AbstractSet)


def checked_labels(labels: object) -> tuple[str, ...] | None:
    """Class names as people hand them over: a list of strings; None where there are none.

    Raises:
        ModelError: for a string, which is no list of names, for what has no order, and for names that are no text.
    """
    if labels is None:
        return None
    names = None if isinstance(labels, NO_LISTS) or not isinstance(labels, Iterable) else _listed(labels)
    if names is None:
        raise ModelError(
            f"Cannot use {shown(labels)} as labels: pass a list of names, one per class in order, "
            "or foveal.models.read_labels(file)."
        )
    for number, name in enumerate(names):
        if not _is_text(name):
            raise ModelError(f"Cannot use {shown(name)} as the label of class {number}: a label is a text.")
    return tuple(str(name) for name in names) or None


def _listed(labels: Iterable[object]) -> list[object] | None:
    try:
        return list(labels)
    except TypeError:  # a number of NumPy
        return None


def own_labels(module: nn.Module) -> tuple[str, ...] | None:
    """The names that a network of transformers carries, `config.id2label`, where they are one an output.

    "LABEL_0" and so on, which are there where nobody gave names, are none.
    """
    described: Any = module
    try:
        named = described.config.id2label
    except DAMAGE:  # whatever a stranger's configuration raises
        return None
    if not isinstance(named, Mapping):
        return None
    by_index = {key if isinstance(key, int) else whole(str(key)): name for key, name in named.items()}
    names = [by_index.get(index) for index in range(len(named))]
    if len(names) != outputs_of(module) or not all(map(_is_text, names)):
        return None
    labels = tuple(map(str, names))
    return None if all(re.fullmatch(r"LABEL_\d+", label) for label in labels) else labels


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Labels from a text file with one a line, or from a JSON list of strings.

    Raises:
        ModelError: in one sentence, for whatever is no such file.
    """
    cannot = f"Cannot read labels from {shown(str(path))}"
    try:
        text = read_text(Path(path))
    except FileNotFoundError as error:
        raise ModelError(f"{cannot}: there is no such file. Write a text file with one name a line.") from error
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{cannot}: it is not a readable text file ({reason(error)}).") from error
    if text.lstrip().startswith("["):
        labels = _json_labels(text, cannot)
    elif "\0" in text:
        raise ModelError(f"{cannot}: it is not a readable text file (it has NUL characters).")
    else:
        labels = _lines(text)
    if not labels:
        raise ModelError(f"{cannot}: it is empty; write one label per line.")
    return labels


def outputs_of(module: nn.Module) -> int | None:
    """How many numbers the last layer with weights gives; None without any."""
    return _outputs(module, set())


def _outputs(module: nn.Module, seen: set[nn.Module]) -> int | None:
    """The same from the end on, so that most of a network is not looked at; a part may hold the whole."""
    seen.add(module)
    for part in reversed(module._modules.values()):
        if part is not None and part not in seen and (count := _outputs(part, seen)) is not None:
            return count
    if isinstance(module, nn.Linear):
        return module.out_features
    return module.out_channels if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) else None


def _lines(text: str) -> tuple[str, ...]:
    """A label a line; empty lines at the end are none."""
    labels = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    while labels and not labels[-1]:
        labels.pop()
    return tuple(labels)


def _json_labels(text: str, cannot: str) -> tuple[str, ...]:
    try:
        labels = json.loads(text)
    except DAMAGE as error:
        raise ModelError(f"{cannot}: it starts like JSON, but is not ({reason(error)}).") from error
    if not all(map(_is_text, labels)):
        raise ModelError(f"{cannot}: every item of its list must be a string.")
    return tuple(labels)


def _is_text(name: object) -> bool:
    """False also for halves of characters, which no file or page can hold."""
    return isinstance(name, str) and not any("\ud800" <= character <= "\udfff" for character in name)

"""Preprocessing as people name it: a preset, or a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from foveal.errors import ImageError
from foveal.images.preprocessing import PRESETS, Preprocessing
from foveal.storage.reading import DAMAGE, read_json, reason


def read_preprocessing(name: str) -> Preprocessing:
    """The preprocessing of that name, or in the JSON file of that name.

    Raises:
        ImageError: for neither, and for a file that cannot be used; of JSON that cannot be read it names the line.
    """
    path = Path(name)
    if name in PRESETS or not (path.suffix or path.exists()):
        return Preprocessing.named(name)
    try:
        return Preprocessing.from_dict(read_json(path))
    except ImageError as error:
        raise ImageError(f"Cannot use {name!r} as preprocessing. {error}") from error
    except json.JSONDecodeError as error:
        raise ImageError(
            f"Cannot read the preprocessing {name!r}: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except DAMAGE as error:
        raise ImageError(
            f"Cannot read the preprocessing {name!r} ({reason(error)}): give imagenet, gray or a JSON file."
        ) from error

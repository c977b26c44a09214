"""Plain data as JSON that every program reads, and that comes back equal: numbers that are none, keys that are no text.

    {"a": [nan]}     {"a": [{"$number": "nan"}]}
    {1: "x"}         {"$pairs": [[1, "x"]]}

Tuples come back as lists.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

NUMBER, PAIRS, DATA = "$number", "$pairs", "$data"


def to_json(value: Any, *, indent: int | None = None) -> str:
    """The text.

    Raises:
        TypeError, ValueError, RecursionError: for what is no plain data.
    """
    return json.dumps(encoded(value), indent=indent, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Any:
    """What was written. Raises ValueError or RecursionError for what is no JSON."""
    return decoded(json.loads(text))


def encoded(value: Any) -> Any:
    """The same in what JSON has words for."""
    if isinstance(value, float) and not math.isfinite(value):
        return {NUMBER: str(float(value))}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return {PAIRS: [[encoded(key), encoded(inside)] for key, inside in value.items()]}
        inside = {key: encoded(item) for key, item in value.items()}
        return {DATA: inside} if len(value) == 1 and next(iter(value)) in (NUMBER, PAIRS, DATA) else inside
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    return value


def decoded(value: Any) -> Any:
    """Back again."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inside),) = value.items()
        if key == NUMBER:
            return float(inside)
        if key == PAIRS:
            return {decoded(name): decoded(item) for name, item in inside}
        if key == DATA:
            return {name: decoded(item) for name, item in inside.items()}
    return {key: decoded(item) for key, item in value.items()}

"""What a page of the studio that opens from disk has inside."""

from __future__ import annotations

import json
import re
from typing import Any


def inside(page: str) -> dict[str, Any]:
    """Its answers, by what was asked."""
    (text,) = re.findall(r'<script type="application/json" id="foveal-answers">(.*?)</script>', page, re.S)
    assert not re.search("[<>&\u2028\u2029]", text)
    content = json.loads(text)
    return {key: _whole(answer, content["shared"]) for key, answer in content["answers"].items()}


def answers(page: str, name: str) -> list[tuple[dict[str, Any], Any]]:
    """The queries and answers of one ask, in their order."""
    found = ([*key.split(" ", 1), answer] for key, answer in inside(page).items())
    return [(json.loads(query), answer) for asked, query, answer in found if asked == name]


def _whole(value: Any, shared: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: _whole(inner, shared) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner, shared) for inner in value]
    if isinstance(value, str) and re.fullmatch(r"~+\d+", value):
        return value[1:] if value[1] == "~" else shared[int(value[1:])]
    return value

"""What an answer is kept under in a page: the same text as the page makes of its query (`keyOf` of web/src/state)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def key_of(name: str, query: Mapping[str, Any]) -> str:
    """The same text for the same query, whatever the order of its fields.

    key_of("scores", {"photo": "1f", "model": "demo"})    # 'scores {"model":"demo","photo":"1f"}'
    """
    return f"{name} {_text(query)}"


def _text(value: Any) -> str:
    """JSON as browsers write it, fields in order."""
    if isinstance(value, Mapping):
        fields = sorted(value.items(), key=lambda item: _place(item[0]))
        return "{" + ",".join(f"{_quoted(name)}:{_text(inside)}" for name, inside in fields) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return _number(value)


def _place(name: str) -> tuple[bool, int, bytes]:
    """Names that are numbers come first in an object of JavaScript; the others by their UTF-16."""
    numbered = re.fullmatch(r"0|[1-9]\d{0,9}", name, re.ASCII) is not None and int(name) < 2**32 - 1
    return not numbered, int(name) if numbered else 0, name.encode("utf-16-be", "surrogatepass")


def _quoted(text: str) -> str:
    return re.sub(r"[\ud800-\udfff]", lambda lone: f"\\u{ord(lone[0]):04x}", json.dumps(text, ensure_ascii=False))


def _number(value: float) -> str:
    """As JavaScript writes it (ECMA-262, Number::toString): the shortest digits that are this number."""
    if not math.isfinite(value) or value == 0:
        return "0" if value == 0 else "null"
    sign, places, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    digits, minus = "".join(map(str, places)), "-" * sign
    point = len(digits) + int(exponent)  # where it stands, counted from the first digit
    if len(digits) <= point <= 21:
        return minus + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{minus}{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"

"""A predicted value in words, and what it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foveal.render.scale import number, typeset

if TYPE_CHECKING:
    from collections.abc import Mapping


def value_words(spec: Mapping[str, Any], i: int) -> str | None:
    """ "value 3.2, 0.7 above 2.5" of image i of a `TargetScore.spec`; None for decisions that are no value."""
    values = spec.get("values") if spec.get("kind") == "value" else None
    if not values:
        return None
    value, reference = values[i], spec.get("reference")
    words = f"value {typeset(number(value))}"
    if reference is None:
        return words
    side = "above" if value >= reference else "below"
    return f"{words}, {typeset(number(abs(value - reference)))} {side} {typeset(number(reference))}"

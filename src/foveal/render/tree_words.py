"""Numbers beside features, in words."""

from __future__ import annotations


def percent(share: float) -> str:
    """Three digits at most: "3.5 %", "0.04 %"."""
    return f"{100 * share:.1f} %" if share >= 0.01 or share == 0 else f"{100 * share:.1g} %"


def count(number: int, what: str) -> str:
    """ "1 image", "2 images"."""
    return f"{number} {what}{'s' * (number != 1)}"

"""Means with intervals, and what paired differences decide: "undecided" is a verdict."""

from __future__ import annotations

from numpy.typing import ArrayLike

from foveal.metrics.paired import differences
from foveal.metrics.statistics import summary


def cell(values: ArrayLike, *, percent: bool = False) -> str:
    """Mean and half of its 95 % interval (bootstrap), "–" where no value is defined."""
    found, scale = summary(values), 100.0 if percent else 1.0
    if not found.n:
        return "–"
    digits = 0 if percent else 3
    return f"{scale * found.mean:.{digits}f} ± {scale * found.half:.{digits}f}"


def compared(own: ArrayLike, other: ArrayLike, *, percent: bool = False, lower: bool = False) -> str:
    """Mean of own − other over the same images with its 95 % interval, and the verdict.

    Args:
        lower: a lower value is better.
    """
    found, scale = summary(differences(own, other)), 100.0 if percent else 1.0
    if found.n < 2:
        return "–"
    low, high = (scale * end for end in (found.low, found.high))
    digits = 0 if percent else 3
    better, worse = (high < 0, low > 0) if lower else (low > 0, high < 0)
    word = "better" if better else "worse" if worse else "undecided"
    return f"{scale * found.mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}] {word}"

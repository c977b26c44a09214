"""Numbers with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveal.metrics.retrieval import wilson


@dataclass(frozen=True)
class Interval:
    """A measured value, with the ends of its interval."""

    value: float
    low: float
    high: float


def proportion(hits: Sequence[bool] | None) -> Interval | None:
    """A proportion with Wilson's 95 % interval."""
    if not hits:
        return None
    return Interval(float(np.mean(hits)), *wilson(int(np.sum(hits)), len(hits)))


def mean(values: Sequence[float]) -> Interval | None:
    """A mean with its normal 95 % interval, undefined values left out."""
    defined = np.array([value for value in values if np.isfinite(value)])
    if len(defined) < 2:
        return None
    middle, half = float(defined.mean()), 1.96 * float(defined.std(ddof=1) / np.sqrt(len(defined)))
    return Interval(middle, middle - half, middle + half)

"""Numbers with their 95 % intervals, as the report draws them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foveal.render.charts import Score


def proportion(hits: Sequence[bool] | None) -> Score | None:
    """A proportion with Wilson's 95 % interval."""
    if not hits:
        return None
    n, p, z = len(hits), float(np.mean(hits)), 1.96
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return Score(p, max(0.0, center - half), min(1.0, center + half))


def mean(values: Sequence[float]) -> Score | None:
    """A mean with its normal 95 % interval, undefined values left out."""
    defined = np.array([value for value in values if np.isfinite(value)])
    if len(defined) < 2:
        return None
    middle, half = float(defined.mean()), 1.96 * float(defined.std(ddof=1) / np.sqrt(len(defined)))
    return Score(middle, middle - half, middle + half)

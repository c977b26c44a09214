"""Numbers with their 95 % intervals, as the report draws them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foveal.metrics.retrieval import wilson
from foveal.render.charts import Score


def proportion(hits: Sequence[bool] | None) -> Score | None:
    """A proportion with Wilson's 95 % interval."""
    if not hits:
        return None
    return Score(float(np.mean(hits)), *wilson(int(np.sum(hits)), len(hits)))


def mean(values: Sequence[float]) -> Score | None:
    """A mean with its normal 95 % interval, undefined values left out."""
    defined = np.array([value for value in values if np.isfinite(value)])
    if len(defined) < 2:
        return None
    middle, half = float(defined.mean()), 1.96 * float(defined.std(ddof=1) / np.sqrt(len(defined)))
    return Score(middle, middle - half, middle + half)

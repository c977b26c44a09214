"""How well a ranking finds what belongs together: rank-1, CMC and average precision of a query among references.

    first   rank of the first right reference, from 1          CMC(k) = share of queries with first ≤ k
    AP      Σ_r precision at the rank of r / number of right   mAP = mean over queries

A tie counts against the query: of equal similarities the wrong one stands first, so the order of the references cannot
change a number. (CMC and mAP as in re-identification: Zheng et al., ICCV 2015.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, Int
    from numpy.typing import NDArray

Z = 1.96  # of the normal distribution, two sides, 95 %


def ranked_references(
    similarity: Float[NDArray[np.floating], " m"],
    right: Bool[NDArray[np.bool_], " m"],
    compared: Bool[NDArray[np.bool_], " m"],
    ties: Int[NDArray[np.integer], " m"],
) -> list[int]:
    """The compared references from the most similar to the least; of equals the wrong ones first, then by `ties`."""
    order = np.lexsort((ties, right, -similarity))
    return [int(j) for j in order if compared[j]]


def average_precision(right: Sequence[bool]) -> float:
    """Average precision of a ranking that says for each rank whether it is right; NaN where none is."""
    at = np.flatnonzero(np.asarray(right, bool)) + 1
    return float(np.mean(np.arange(1, len(at) + 1) / at)) if len(at) else math.nan


def first_right(right: Sequence[bool]) -> int | None:
    """The rank, from 1, of the first right one; None where there is none."""
    at = np.flatnonzero(np.asarray(right, bool))
    return int(at[0]) + 1 if len(at) else None


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion; NaN for n = 0."""
    if not n:
        return math.nan, math.nan
    p = hits / n
    center = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return max(0.0, center - half), min(1.0, center + half)

"""Paired tests and effect sizes: two methods measured on the same images.

The test is the sign-flip permutation test of the mean difference (Fisher, 1935): if two methods do not differ, each
image's difference is as likely to have the other sign. All flips are counted for few images, random ones otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.metrics.statistics import holm, ranked, summary

if TYPE_CHECKING:
    from jaxtyping import Float

LEVEL = 0.05
EXACT = 13  # differences that are not 0, up to which all flips are counted
DRAWS = 20_000
AT_ONCE = 2_000
ROUNDING = 1e-6  # relative difference up to which two values are a tie


@dataclass(frozen=True)
class PairedComparison:
    """Two methods by one metric.

    Attributes:
        a, b: the methods.
        n: images for which both are defined.
        difference: mean of a − b, in units of the metric.
        low, high: its 95 % interval, percentile bootstrap over images; NaN for fewer than two images.
        p: two-sided, of the sign-flip permutation test.
        p_holm: corrected for all pairs of the metric by Holm's step-down rule.
        d_z: mean difference over its standard deviation (Cohen, 1988; Lakens, doi:10.3389/fpsyg.2013.00863).
        rank_biserial: matched-pairs rank-biserial correlation, −1 to 1 (Kerby, doi:10.2466/11.IT.3.1).
        superiority: share of images for which a is better, a tie counts half (Grissom, doi:10.1037/0021-9010.79.2.314).

    The last three are positive, or above a half, where a is better than b.
    """

    metric: str
    a: str
    b: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    d_z: float
    rank_biserial: float
    superiority: float


def compare_pairs(values: Mapping[str, ArrayLike], metric: str, *, sign: int = 1) -> list[PairedComparison]:
    """All pairs of methods; `values` holds n numbers a method, NaN where undefined.

    Args:
        sign: −1 where a lower value is better.
    """
    pairs = list(combinations(values, 2))
    if not pairs:
        return []
    each = {pair: differences(values[pair[0]], values[pair[1]]) for pair in pairs}
    p = dict(zip(pairs, sign_flip_p(np.stack([*each.values()], 1)), strict=True))
    corrected = holm(p)
    compared = []
    for pair in pairs:
        known = each[pair][np.isfinite(each[pair])]
        mean = summary(known)
        compared.append(
            PairedComparison(
                metric, *pair, len(known), mean.mean, mean.low, mean.high, float(p[pair]), float(corrected[pair]),
                d_z(sign * known), rank_biserial(sign * known), superiority(sign * known),
            )
        )  # fmt: skip
    return compared


def differences(a: ArrayLike, b: ArrayLike) -> Float[NDArray[np.float64], " n"]:
    """a − b, 0 where they differ by rounding only, NaN where either is undefined."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    d = np.where(known, x, np.nan) - np.where(known, y, np.nan)
    return np.where(known & (np.abs(d) <= ROUNDING * np.maximum(np.abs(x), np.abs(y))), 0.0, d)


def sign_flip_p(d: Float[NDArray[np.float64], "n k"], *, seed: int = 0) -> Float[NDArray[np.float64], " k"]:
    """Two-sided p-values of k columns of paired differences; NaN is left out, 1 where nothing differs."""
    d = np.nan_to_num(np.asarray(d, np.float64))
    p = np.ones(d.shape[1])
    few = np.count_nonzero(d, axis=0) <= EXACT
    p[few] = [_exact(column[column != 0]) for column in d[:, few].T]
    if not few.all():
        rest = d[:, ~few]
        least = _least(rest)
        random, counted = np.random.default_rng(seed), np.zeros(rest.shape[1])
        for _ in range(DRAWS // AT_ONCE):
            signs = random.integers(0, 2, (AT_ONCE, len(rest)), np.int8) * 2.0 - 1
            counted += (np.abs(signs @ rest) >= least).sum(0)
        p[~few] = (counted + 1) / (DRAWS + 1)
    return p


def _exact(d: Float[NDArray[np.float64], " n"]) -> float:
    """The share of all flips with as large a sum; the first sign is kept, as both tails are alike."""
    if not len(d):
        return 1.0
    flips = np.arange(2 ** (len(d) - 1))[:, None] >> np.arange(len(d)) & 1
    return float((np.abs((1 - 2.0 * flips) @ d) >= _least(d)).mean())


def _least(d: NDArray[np.float64]) -> NDArray[np.float64]:
    """What counts as large as the sum that was measured, up to rounding."""
    return np.asarray(np.abs(d.sum(0)) - 1e-12 * np.abs(d).sum(0))


def d_z(d: Float[NDArray[np.float64], " n"]) -> float:
    """Cohen's d of paired differences; NaN for fewer than two, or where all are equal but not 0."""
    if len(d) < 2:
        return math.nan
    if not d.any():
        return 0.0
    spread = float(d.std(ddof=1))
    return float(d.mean()) / spread if spread > 1e-12 * np.abs(d).max() else math.nan


def rank_biserial(d: Float[NDArray[np.float64], " n"]) -> float:
    """Sum of the ranks of positive differences less that of negative ones, over their total; ties of 0 are left out."""
    if not len(d):
        return math.nan
    d = d[d != 0]
    ranks = ranked(np.abs(d))
    return float(np.sign(d) @ ranks / ranks.sum()) if len(d) else 0.0


def superiority(d: Float[NDArray[np.float64], " n"]) -> float:
    """The share of positive differences, those of 0 counted half."""
    return float(((np.sign(d) + 1) / 2).mean()) if len(d) else math.nan


def images_needed(comparisons: int) -> int:
    """The fewest images with which so many Holm-corrected tests can reach 0.05: 6 for one, 9 for ten.

    The smallest p-value of n images is 2 / 2ⁿ, and the first of m tests must lie below 0.05 / m.
    """
    return math.ceil(1 + math.log2(max(1, comparisons) / LEVEL))

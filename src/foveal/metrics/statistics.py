"""What may be said of numbers that were measured image by image. Undefined ones (NaN) are counted and left out.

Comparisons are paired, since all methods are measured on the same images (specification: metrics, section 12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from jaxtyping import Float

RESAMPLES = 2000


@dataclass(frozen=True)
class Summary:
    """A mean over images.

    Attributes:
        mean: NaN where nothing is defined.
        low, high: of its 95 % interval, by bootstrap over images; NaN for fewer than two.
        n: images it is the mean of.
        undefined: images for which the metric has no value.
    """

    mean: float
    low: float
    high: float
    n: int
    undefined: int

    @property
    def half(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        if not self.n:
            return f"undefined ({self.undefined})"
        spread = f" ± {self.half:.3g}" if self.n > 1 else ""
        missing = f" ({self.undefined} undefined)" if self.undefined else ""
        return f"{self.mean:.4g}{spread}{missing}"


def summary(values: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Summary:
    """Mean, 95 % interval by the percentile bootstrap, and how many are undefined."""
    every = np.asarray(values, np.float64)
    defined = every[np.isfinite(every)]
    n, undefined = len(defined), len(every) - len(defined)
    if n < 2:
        return Summary(float(defined[0]) if n else np.nan, np.nan, np.nan, n, undefined)
    low, high = np.quantile(_means(defined, np.random.default_rng(seed), resamples), (0.025, 0.975))
    return Summary(float(defined.mean()), float(low), float(high), n, undefined)


def difference(a: ArrayLike, b: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Summary:
    """mean(a) − mean(b) over two sets of images, and its 95 % interval by the percentile bootstrap within each set."""
    both = [np.asarray(values, np.float64) for values in (a, b)]
    here, there = (values[np.isfinite(values)] for values in both)
    n, undefined = len(here) + len(there), sum(len(v) for v in both) - len(here) - len(there)
    if not len(here) or not len(there):
        return Summary(np.nan, np.nan, np.nan, n, undefined)
    mean = float(here.mean() - there.mean())
    if min(len(here), len(there)) < 2:
        return Summary(mean, np.nan, np.nan, n, undefined)
    random = np.random.default_rng(seed)
    low, high = np.quantile(_means(here, random, resamples) - _means(there, random, resamples), (0.025, 0.975))
    return Summary(mean, float(low), float(high), n, undefined)


def _means(
    values: Float[NDArray[np.float64], " n"], random: np.random.Generator, resamples: int
) -> Float[NDArray[np.float64], " m"]:
    means: NDArray[np.float64] = values[random.integers(0, len(values), (resamples, len(values)))].mean(1)
    return means


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson's correlation; NaN where either is constant, up to rounding."""
    x, y = (np.asarray(v, np.float64) for v in (a, b))
    if len(x) < 2 or any(np.ptp(v) <= 1e-6 * np.abs(v).max() for v in (x, y)):
        return float("nan")
    x, y = ((v - v.mean()) / np.ptp(v) for v in (x, y))
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson's correlation of the ranks, ties sharing theirs; NaN where either is constant."""
    return pearson(ranked(a), ranked(b))


def ranked(values: ArrayLike) -> Float[NDArray[np.float64], " n"]:
    """1 for the smallest; ties share the mean of their ranks."""
    flat = np.asarray(values, np.float64)
    order = flat.argsort(kind="stable")
    _, first, place, count = np.unique(flat[order], return_index=True, return_inverse=True, return_counts=True)
    ranks = np.empty(len(flat))
    ranks[order] = (first + (count + 1) / 2)[place]
    return ranks


def kendall(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's τ-b of two rankings, −1 to 1; NaN where either is constant."""
    x, y = (np.sign(np.subtract.outer(v, v))[np.triu_indices(len(v), 1)] for v in map(np.asarray, (a, b)))
    norm = float(np.sqrt((x != 0).sum() * (y != 0).sum()))
    return float((x * y).sum() / norm) if norm else float("nan")


def holm(p: Mapping[Any, float]) -> dict[Any, float]:
    """p-values of several comparisons, corrected by Holm's step-down rule."""
    corrected, worst = {}, 0.0
    for k, (key, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        worst = max(worst, min(1.0, (len(p) - k) * value))
        corrected[key] = worst
    return {key: corrected[key] for key in p}


def agreement(values: Sequence[ArrayLike]) -> float:
    """Krippendorff's α, ordinal: images are raters, methods the items; 1 when all images rank methods alike.

    Low: the metric ranks the methods differently on every image, so the ranking of means says little
    (arXiv:2311.17876). Rows are images, columns methods; each row is replaced by its ranks, NaN is left out.
    """
    table = np.asarray(values, np.float64)
    ranks = np.full(table.shape, np.nan)
    for row, ranking in zip(table, ranks, strict=True):
        known = np.isfinite(row)
        ranking[known] = ranked(row[known])
    levels = np.unique(ranks[np.isfinite(ranks)])
    if len(levels) < 2:
        return float("nan")
    pairs = np.zeros((len(levels), len(levels)))
    for column in ranks.T:
        counts = (column[:, None] == levels).sum(0).astype(np.float64)
        m = counts.sum()
        if m > 1:
            pairs += (np.outer(counts, counts) - np.diag(counts)) / (m - 1)
    margin = pairs.sum(0)
    inside = np.cumsum(margin) - margin / 2
    distance = np.subtract.outer(inside, inside) ** 2
    expected = (np.outer(margin, margin) - np.diag(margin)) * distance
    n = margin.sum()
    total = expected.sum() / (n - 1)
    return float(1 - (pairs * distance).sum() / total) if total else float("nan")

"""How well a map agrees with the true importance of parts.

A map is (h, w) in the picture's pixels, signed; only its positive part counts as "here". Each part's
importance in a map is by default the *mean* of the map over the part's visible pixels. The sum would let a
large body win by its area alone: a map that is the same everywhere has its largest sum on the largest part,
but the same mean on all, which is what it says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from foveal.world.scene import LABELS

Map = NDArray[np.floating]
Labels = NDArray[np.uint8]
By = Literal["mean", "sum"]
SMALLEST = 12  # pixels; of less, nothing can be said at the resolution of maps


def part_importance(map: Map, labels: Labels, *, by: By = "mean") -> dict[str, float]:
    """The positive part of the map over each visible part (and mark), as mean per pixel or sum."""
    if map.shape != labels.shape:
        raise ValueError(f"a map of {map.shape} does not fit labels of {labels.shape}: resize the map first")
    positive = np.clip(np.asarray(map, np.float64), 0, None)
    count = np.bincount(labels.ravel(), minlength=len(LABELS))
    total = np.bincount(labels.ravel(), positive.ravel(), minlength=len(LABELS))
    parts = [part for part in LABELS if part not in ("background", "occluder") and count[LABELS[part]] >= SMALLEST]
    return {part: float(total[LABELS[part]] / (count[LABELS[part]] if by == "mean" else 1)) for part in parts}


def top_part(map: Map, labels: Labels, *, by: By = "mean") -> str:
    """The part the map points at."""
    importance = part_importance(map, labels, by=by)
    return max(importance, key=lambda part: importance[part])


def hit(map: Map, labels: Labels, part: str, *, by: By = "mean") -> bool:
    """Whether the part the map points at is *the* part, as for the margin between siblings. Higher is better."""
    return top_part(map, labels, by=by) == part


def share(map: Map, labels: Labels, parts: Collection[str]) -> float:
    """The share of the map's positive mass that lies on the given, decisive parts, 0 to 1. Higher is better."""
    positive = np.clip(np.asarray(map, np.float64), 0, None)
    total = positive.sum()
    inside = np.isin(labels, [LABELS[part] for part in parts])
    return float(positive[inside].sum() / total) if total > 0 else 0.0


def rank_correlation(map: Map, labels: Labels, effects: Mapping[str, float], *, by: By = "mean") -> float:
    """Spearman's correlation, −1 to 1, of the parts' importance in the map with their true effects."""
    importance = part_importance(map, labels, by=by)
    parts = [part for part in importance if part in effects]
    if len(parts) < 2:
        return float("nan")
    return spearman([importance[part] for part in parts], [effects[part] for part in parts])


def spearman(one: Collection[float], other: Collection[float]) -> float:
    """Pearson's correlation of the ranks, ties sharing theirs; NaN if either is constant."""
    a, b = _ranks(np.array(list(one))), _ranks(np.array(list(other)))
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else float("nan")


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    below = (values[:, None] > values[None]).sum(1)
    ties = (values[:, None] == values[None]).sum(1)
    ranks: NDArray[np.float64] = below + (ties - 1) / 2
    return ranks

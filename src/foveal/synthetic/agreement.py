"""How well a map agrees with the true importance of parts.

A map is (h, w) in the image's pixels, signed; only its positive part counts as "here". A part's importance
in it is, by

    "mean"  the mean over the part's visible pixels (the default)
    "fit"   the correlation, over the creature's pixels, of the map with the part's mask
    "sum"   the sum over the part's visible pixels

The sum favors a large body only because of its area. A constant map has its largest sum on the largest part, but
the same mean on all parts and no fit to any. The mean favors a small part in the middle of a blurred spot, as
the eye in the head: for coarse maps, look at the fit too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from foveal.metrics.statistics import spearman
from foveal.synthetic.scene import LABELS

Map = NDArray[np.floating]
Labels = NDArray[np.uint8]
By = Literal["mean", "fit", "sum"]
SMALLEST = 12  # pixels; of less, nothing can be said at the resolution of maps


def part_importance(map: Map, labels: Labels, *, by: By = "mean") -> dict[str, float]:
    """The importance of each visible part (and mark) in the positive part of the map."""
    if map.shape != labels.shape:
        raise ValueError(f"a map of {map.shape} does not fit labels of {labels.shape}: resize the map first")
    positive = np.clip(np.asarray(map, np.float64), 0, None)
    masks = {part: labels == code for part, code in LABELS.items() if part not in ("background", "occluder")}
    visible = {part: mask for part, mask in masks.items() if mask.sum() >= SMALLEST}
    if by == "fit":
        creature = np.isin(labels, [LABELS[part] for part in visible])
        return {part: _correlation(mask[creature], positive[creature]) for part, mask in visible.items()}
    return {
        part: float(positive[mask].mean() if by == "mean" else positive[mask].sum()) for part, mask in visible.items()
    }


def _correlation(mask: NDArray[np.bool_], values: NDArray[np.float64]) -> float:
    """Pearson's correlation of a mask with values; 0 when either is the same everywhere."""
    if mask.all() or np.ptp(values) == 0:
        return 0.0
    return float(np.corrcoef(mask, values)[0, 1])


def top_part(map: Map, labels: Labels, *, by: By = "mean") -> str:
    """The part with the highest importance in the map."""
    importance = part_importance(map, labels, by=by)
    return max(importance, key=lambda part: importance[part])


def hit(map: Map, labels: Labels, part: str, *, by: By = "mean") -> bool:
    """Whether `top_part` is the deciding part, as for the margin between siblings. Higher is better."""
    return top_part(map, labels, by=by) == part


def share(map: Map, labels: Labels, parts: Collection[str]) -> float:
    """The share of the map's positive evidence on the given, deciding parts, 0 to 1. Higher is better."""
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

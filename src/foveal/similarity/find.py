"""Metrics by name."""

from __future__ import annotations

from typing import TypeAlias

from foveal.errors import UnknownTarget, shown
from foveal.similarity.local import CrossAttention, EarthMovers, Nearest
from foveal.similarity.metric import Distance
from foveal.similarity.pooled import Cosine, Dot, Euclidean, Squared

METRICS: dict[str, Distance] = {
    metric.name: metric
    for metric in (Cosine(), Dot(), Euclidean(), Squared(), EarthMovers(), Nearest(), CrossAttention())
}

MetricLike: TypeAlias = "str | Distance"


def find_metric(metric: MetricLike) -> Distance:
    """The metric of that name, or the one given.

    Raises:
        TargetError: when there is none.
    """
    if isinstance(metric, str) and metric in METRICS:
        return METRICS[metric]
    if not isinstance(metric, str) and isinstance(metric, Distance):
        return metric
    raise UnknownTarget(
        f"there is no metric {shown(metric)}: the metrics are {', '.join(METRICS)} "
        "(in Python also foveal.Learned(matrix) or your own)"
    )

"""Metrics: how two embeddings are compared. Names are imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal._lazy import lazily

if TYPE_CHECKING:
    from foveal.similarity.find import METRICS, MetricLike, find_metric
    from foveal.similarity.local import CrossAttention, EarthMovers, Nearest
    from foveal.similarity.metric import Distance, Linear
    from foveal.similarity.pooled import Cosine, Dot, Euclidean, Learned, Squared, unit

_HOME = {
    "Cosine": "pooled",
    "CrossAttention": "local",
    "Distance": "metric",
    "Dot": "pooled",
    "EarthMovers": "local",
    "Euclidean": "pooled",
    "Learned": "pooled",
    "Linear": "metric",
    "METRICS": "find",
    "MetricLike": "find",
    "Nearest": "local",
    "Squared": "pooled",
    "find_metric": "find",
    "unit": "pooled",
}

__all__ = [
    "METRICS",
    "Cosine",
    "CrossAttention",
    "Distance",
    "Dot",
    "EarthMovers",
    "Euclidean",
    "Learned",
    "Linear",
    "MetricLike",
    "Nearest",
    "Squared",
    "find_metric",
    "unit",
]

__getattr__ = lazily(__name__, _HOME)

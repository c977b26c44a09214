"""Which part of the photo shows a feature of a tree, in fractions of its width and height."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.images import Place
from foveal.render.feature import region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results.feature_graph import Feature
    from foveal.results.tree import Tree

LEAST, MOST = 0.16, 0.5  # of the photo's shorter side, that a crop is wide
AROUND = 5  # positions that the crop of a neuron is wide


def crop_box(tree: Tree, feature: Feature) -> list[float]:
    """A square about what a part consists of, or about a neuron, as large as is legible."""
    height, width = tree.photo.geometry.photo_size
    shorter = min(height, width)
    if feature.box:
        x0, y0, x1, y1 = region(tree, feature)
        (x, y), side = ((x0 + x1) / 2, (y0 + y1) / 2), max(x1 - x0, y1 - y0)
    else:
        (x, y), (right, below) = _points(tree, feature)
        side = AROUND * max(abs(right - x), abs(below - y))
    side = min(max(side, LEAST * shorter), MOST * shorter)
    left, top = min(max(x - side / 2, 0.0), width - side), min(max(y - side / 2, 0.0), height - side)
    return _fractions((left, top, left + side, top + side), width, height)


def seen_box(tree: Tree, feature: Feature) -> list[float]:
    """All that a neuron can see."""
    height, width = tree.photo.geometry.photo_size
    return _fractions(region(tree, feature), width, height)


def _points(tree: Tree, feature: Feature) -> list[list[float]]:
    """On the photo: the position of a neuron, and the next one in both directions."""
    stage, geometry = tree.stages[feature.stage], tree.photo.geometry
    lie = Place(*stage.place) if stage.place else Place.covering(stage.shape[1:], geometry.input_size)
    y, x = feature.place
    points: list[list[float]] = geometry.points_to_photo(lie.points([[y, x], [y + 1, x + 1]])).tolist()
    return points


def _fractions(box: Sequence[float], width: int, height: int) -> list[float]:
    return [min(max(value / (height if i % 2 else width), 0.0), 1.0) for i, value in enumerate(box)]

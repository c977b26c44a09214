"""Which part of the photo shows a feature of a tree, in fractions of its width and height."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.feature import region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results.feature_graph import Feature
    from foveal.results.tree import Tree

LEAST, MOST = 0.16, 0.5  # of the photo's shorter side, that a crop is wide


def crop_box(tree: Tree, feature: Feature) -> list[float]:
    """A square about what a part consists of, or about a neuron, as large as is legible."""
    x0, y0, x1, y1 = region(tree, feature)
    height, width = tree.photo.geometry.photo_size
    shorter = min(height, width)
    side = min(max(x1 - x0, y1 - y0, LEAST * shorter), MOST * shorter)
    x, y = ((x0 + x1) / 2, (y0 + y1) / 2) if feature.box else _middle(tree, feature)
    left, top = min(max(x - side / 2, 0.0), width - side), min(max(y - side / 2, 0.0), height - side)
    return _fractions((left, top, left + side, top + side), width, height)


def seen_box(tree: Tree, feature: Feature) -> list[float]:
    """All that a neuron can see."""
    height, width = tree.photo.geometry.photo_size
    return _fractions(region(tree, feature), width, height)


def _middle(tree: Tree, feature: Feature) -> tuple[float, float]:
    from foveal.images import Place

    stage, geometry = tree.stages[feature.stage], tree.photo.geometry
    lie = Place(*stage.place) if stage.place else Place.covering(stage.shape[1:], geometry.input_size)
    x, y = geometry.points_to_photo(lie.points(feature.place)).tolist()
    return x, y


def _fractions(box: Sequence[float], width: int, height: int) -> list[float]:
    return [min(max(value / (height if i % 2 else width), 0.0), 1.0) for i, value in enumerate(box)]

"""Features and the edges between them as rows of plain values and joined tensors, and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from foveal.results.feature_graph import Edge, Feature, Pattern
from foveal.results.part_example import PartExample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from foveal.engine.structure import Stage

TENSORS = ("maps", "weights", "patterns", "profiles", "images", "example_pixels", "example_maps")
NUMBERS = ("value", "pro", "contra", "offset")


def graph_rows(vertices: Sequence[Feature]) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Tensor]]:
    """({"features": …, "edges": …}, {"maps": …, …}); each of `TENSORS` is many that were joined, in their order."""
    number = {id(feature): i for i, feature in enumerate(vertices)}
    edges, maps = _edges(vertices, number)
    weights = [feature.weights for feature in vertices if feature.weights is not None]
    patterns = [feature.pattern.values for feature in vertices if feature.pattern]
    profiles = [feature.profile for feature in vertices if feature.profile is not None]
    images = [feature.image for feature in vertices if feature.image is not None]
    examples = [example for feature in vertices for example in feature.examples]
    pixels, evidence = [example.pixels for example in examples], [example.map for example in examples]
    each = (maps, weights, patterns, profiles, images, pixels, evidence)
    tensors = dict(zip(TENSORS, map(_flat, each), strict=True))
    return {"features": [_row(feature) for feature in vertices], "edges": edges}, tensors


def graph_from(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], tensors: Mapping[str, Tensor], stages: Sequence[Stage]
) -> list[Feature]:
    """The vertices again, joined by their edges."""
    weights, patterns, profiles, images, pixels, evidence = (TensorReader(tensors[name]) for name in TENSORS[1:])
    vertices = []
    for row in rows["features"]:
        spread = weights.next(*stages[row["stage"]].shape[1:]) if row["spread"] else None
        vertices.append(_feature(row, spread, patterns))
        vertices[-1].profile = profiles.next(row["profile"]) if row["profile"] else None
        vertices[-1].image = images.next(*row["image"]) if row["image"] else None
        vertices[-1].examples = tuple(
            PartExample.from_dict(example, pixels.next(*example["pixels"]), evidence.next(*example["shape"]))
            for example in row["examples"]
        )
    _join(vertices, rows["edges"], TensorReader(tensors["maps"]))
    return vertices


class TensorReader:
    """Tensors that were joined into one, in their order."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers, self._at = numbers, 0

    def next(self, *shape: int) -> Tensor:
        start = self._at
        self._at += math.prod(shape)
        return self._numbers[start : self._at].reshape(shape)


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().cpu().flatten() for tensor in tensors]) if tensors else torch.zeros(0)


def _edges(vertices: Sequence[Feature], number: Mapping[int, int]) -> tuple[list[dict[str, Any]], list[Tensor]]:
    edges, maps = [], []
    for parent in vertices:
        for side in ("edges", "opponents"):
            for edge in getattr(parent, side) or ():
                maps.append(edge.map)
                edges.append(
                    {
                        "parent": number[id(parent)],
                        "child": number[id(edge.child)],
                        "against": side == "opponents",
                        "share": edge.share,
                        "mass": edge.mass,
                        "effect": edge.effect,
                        "average": edge.average,
                        "random": edge.random,
                        "corner": list(edge.corner),
                        "shape": list(edge.map.shape),
                    }
                )
    return edges, maps


def _row(feature: Feature) -> dict[str, Any]:
    """A vertex; what is not known is null."""
    return {
        "stage": feature.stage,
        "layer": feature.layer,
        "channels": list(feature.channels),
        "place": list(feature.place),
        "spread": feature.weights is not None,
        "grown": feature.edges is not None,
        "part": feature.part,
        "box": None if feature.box is None else list(feature.box),
        "together": feature.together,
        "bias_share": feature.bias_share,
        "profile": None if feature.profile is None else len(feature.profile),
        "image": None if feature.image is None else list(feature.image.shape),
        "examples": [example.to_dict() for example in feature.examples],
        "pattern": _pattern_row(feature.pattern) if feature.pattern else None,
        **{name: getattr(feature, name) for name in NUMBERS},
    }


def _pattern_row(pattern: Pattern) -> dict[str, Any]:
    return {
        "kind": pattern.kind,
        "corner": list(pattern.corner),
        "region": list(pattern.region),
        "shape": list(pattern.values.shape),
    }


def _feature(row: Mapping[str, Any], weights: Tensor | None, patterns: TensorReader) -> Feature:
    y, x = row["place"]
    feature = Feature(row["stage"], row["layer"], tuple(row["channels"]), (y, x), weights=weights, part=row["part"])
    feature.box = tuple(row["box"]) if row["box"] else None
    feature.together = row["together"]
    for name in NUMBERS:
        setattr(feature, name, math.nan if row[name] is None else float(row[name]))
    feature.edges = () if row["grown"] else None
    if pattern := row["pattern"]:
        region = tuple(math.nan if value is None else float(value) for value in pattern["region"])
        values = patterns.next(*pattern["shape"])
        feature.pattern = Pattern(pattern["kind"], values, tuple(pattern["corner"]), region)  # type: ignore[arg-type]
    return feature


def _join(vertices: Sequence[Feature], rows: Sequence[Mapping[str, Any]], maps: TensorReader) -> None:
    for row in rows:
        y, x = row["corner"]
        map = maps.next(*row["shape"])
        edge = Edge(
            vertices[row["child"]], row["share"], row["mass"], map, (y, x), row["effect"], row["average"], row["random"]
        )
        parent = vertices[row["parent"]]
        if row["against"]:
            parent.opponents = (*parent.opponents, edge)
        else:
            parent.edges = (*(parent.edges or ()), edge)

"""A decision taken apart as files, and back."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from foveal.engine.positions import Cells
from foveal.engine.structure import Stage
from foveal.images import Place
from foveal.results.feature_graph import Edge, Feature, Pattern
from foveal.results.storage import describe_photo, read_photo
from foveal.results.tree import Tree
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.atomic import utf8
from foveal.storage.folder import written_aside
from foveal.storage.manifest import Saved, load, write_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

FORMAT = "foveal-tree/1"
ARRAYS, PHOTO = "tree.npz", "photo.png"
NUMBERS = ("value", "pro", "contra", "offset")


def save_tree(tree: Tree, folder: Path) -> Path:
    """The photo, the poster (tree.png, .pdf, .svg), the page to click through (tree.html), tree.npz and manifest.json.

    What the tree knows is written, no more; vertices in the order in which they were found, the decision first.
    """
    from foveal.render.tree_page import page

    vertices = [tree.decision, *tree.features.values()]
    number = {id(feature): i for i, feature in enumerate(vertices)}
    edges, maps = _edges(vertices, number)
    weights = [feature.weights for feature in vertices if feature.weights is not None]
    patterns = [feature.pattern.values for feature in vertices if feature.pattern]
    arrays = {"maps": _flat(maps), "weights": _flat(weights), "patterns": _flat(patterns)}
    with written_aside(folder) as aside:
        Image.fromarray(tree.photo.pixels).save(aside / PHOTO)
        poster = tree.poster()
        for name in ("tree.png", "tree.pdf"):
            poster.save(aside / name)
        (aside / "tree.svg").write_bytes(utf8(tree.svg()))
        (aside / "tree.html").write_bytes(utf8(page(tree)))
        write_arrays(aside / ARRAYS, arrays)
        content = {
            "format": FORMAT,
            "model": tree.model,
            "target": tree.target,
            "target_spec": dict(tree.target_spec),
            "parameters": dict(tree.parameters),
            "notes": list(tree.notes),
            "photo": describe_photo(tree.photo, PHOTO),
            "stages": [{**asdict(stage), "place": stage.place and stage.place._asdict()} for stage in tree.stages],
            "arrays": described(arrays),
            "features": [_facts(feature) for feature in vertices],
            "edges": edges,
        }
        write_manifest(aside, content)
    return folder


def load_tree(folder: Path) -> Tree:
    """The tree in a folder, as far as it was grown; it has no network to grow further."""
    return load(folder, FORMAT, _tree)


def _tree(saved: Saved) -> Tree:
    with saved.open(ARRAYS) as file:
        arrays = read_arrays(file, saved["arrays"])
    stages = tuple(_stage(one) for one in saved["stages"])
    weights, patterns = TensorReader(arrays["weights"]), TensorReader(arrays["patterns"])
    vertices = []
    for one in saved["features"]:
        own = weights.next(*stages[one["stage"]].shape[1:]) if one["spread"] else None
        vertices.append(_feature(one, own, patterns))
    _join(vertices, saved["edges"], TensorReader(arrays["maps"]))
    decision, *features = vertices
    return Tree(
        decision, stages, None, read_photo(saved, saved["photo"]), saved["target"], saved["model"],
        saved["target_spec"], saved["parameters"], tuple(saved["notes"]),
        {feature.key: feature for feature in features},
    )  # fmt: skip


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([one.detach().cpu().flatten() for one in tensors]) if tensors else torch.zeros(0)


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
                        "corner": list(edge.corner),
                        "shape": list(edge.map.shape),
                    }
                )
    return edges, maps


def _facts(feature: Feature) -> dict[str, Any]:
    """A vertex; what is not known is null."""
    known = {name: getattr(feature, name) for name in NUMBERS}
    return {
        "stage": feature.stage,
        "layer": feature.layer,
        "channels": list(feature.channels),
        "place": list(feature.place),
        "spread": feature.weights is not None,
        "grown": feature.edges is not None,
        "pattern": _seen(feature.pattern) if feature.pattern else None,
        **known,
    }


def _seen(pattern: Pattern) -> dict[str, Any]:
    return {
        "kind": pattern.kind,
        "corner": list(pattern.corner),
        "region": list(pattern.region),
        "shape": list(pattern.values.shape),
    }


class TensorReader:
    """Tensors that were joined into one, in their order."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers, self._at = numbers, 0

    def next(self, *shape: int) -> Tensor:
        start = self._at
        self._at += math.prod(shape)
        return self._numbers[start : self._at].reshape(shape)


def _feature(saved: Mapping[str, Any], weights: Tensor | None, patterns: TensorReader) -> Feature:
    y, x = saved["place"]
    feature = Feature(saved["stage"], saved["layer"], tuple(saved["channels"]), (y, x), weights=weights)
    for name in NUMBERS:
        setattr(feature, name, math.nan if saved[name] is None else float(saved[name]))
    feature.edges = () if saved["grown"] else None
    if seen := saved["pattern"]:
        region = tuple(math.nan if value is None else float(value) for value in seen["region"])
        feature.pattern = Pattern(seen["kind"], patterns.next(*seen["shape"]), tuple(seen["corner"]), region)  # type: ignore[arg-type]
    return feature


def _join(vertices: Sequence[Feature], edges: Sequence[Mapping[str, Any]], maps: TensorReader) -> None:
    for saved in edges:
        y, x = saved["corner"]
        map = maps.next(*saved["shape"])
        edge = Edge(vertices[saved["child"]], saved["share"], saved["mass"], map, (y, x), saved["effect"])
        parent = vertices[saved["parent"]]
        if saved["against"]:
            parent.opponents = (*parent.opponents, edge)
        else:
            parent.edges = (*(parent.edges or ()), edge)


def _stage(saved: Mapping[str, Any]) -> Stage:
    pairs = {name: tuple(saved[name]) for name in ("shape", "stride", "receptive_field")}
    place = Place.from_dict(saved["place"]) if saved.get("place") else None
    cells = Cells(place.offset, place.step, place.turned) if place else None
    return Stage(**{**saved, **pairs, "place": cells})

"""A decision taken apart, to click through: HTML that refers to nothing outside of itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from foveal.render.feature import effective_region, feature_picture, pattern_picture, region
from foveal.render.fragment import data_uri
from foveal.render.overlay import fit, seen_photo
from foveal.render.pages import environment, script_json
from foveal.render.part_strips import example_picture, image_picture
from foveal.render.reference_words import reference_words
from foveal.render.tree_words import label_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foveal.render.drawable_trees import Graph, Key, Support, Vertex

MOST = 500  # features with images; what carries least is left out
SIDE, PHOTO, SHELF, QUALITY = 104, 460, 64, 78
LARGE = 1.6  # times as large on a page of its own


def page(tree: Graph) -> str:
    """The whole document."""
    title = f"{tree.target}, {tree.model}"
    return environment().get_template("tree.html").render(title=title, tree=fragment(tree, finer=LARGE))


def fragment(tree: Graph, *, most: int = MOST, finer: float = 1.0) -> str:
    """A part of a page that has `tree.css` and `tree.js`; does not grow the tree. Images are `finer` times larger."""
    data = script_json(_content(tree, most, finer))
    parts = tree.parameters.get("nodes") == "parts"
    return environment().get_template("tree_fragment.html").render(title=tree.target, data=data, parts=parts)


def _content(tree: Graph, most: int, finer: float) -> dict[str, Any]:
    shown = _shown(tree, most)
    number = {feature.key: i for i, feature in enumerate(shown)}
    photo = fit(tree.photo, round(PHOTO * finer))
    shelves = _shelves(tree, shown)
    known = 1 + len(tree.features)
    return {
        "target": tree.target,
        "model": tree.model,
        "rule": tree.parameters.get("rule", ""),
        "photo": data_uri(seen_photo(photo), quality=QUALITY),
        "size": list(photo.geometry.photo_size[::-1]),
        "stages": [stage.name for stage in tree.stages],
        "features": [_feature(tree, feature, number, photo.pixels.shape[1], round(SIDE * finer)) for feature in shown],
        "shelves": shelves,
        "left_out": known - len(shown),
        "reference": reference_words(tree.parameters),
        "parts": tree.parameters.get("nodes") == "parts",
        "notes": list(tree.notes),
    }


def _shown(tree: Graph, most: int) -> list[Vertex]:
    """The decision and the features that carry most of it, and what speaks against those."""
    flow: Mapping[Key, float] = tree.flow()
    by_flow = sorted((f for f in tree.features.values() if f.key in flow), key=lambda f: -flow[f.key])
    shown = {f.key: f for f in [tree.decision, *by_flow[:most]]}
    for feature in list(shown.values()):
        for edge in feature.opponents:
            if len(shown) <= most:
                shown.setdefault(edge.child.key, edge.child)
    return list(shown.values())


def _shelves(tree: Graph, shown: Sequence[Vertex]) -> dict[str, list[str]]:
    """ "stage/channel" -> images where the channel is strongest elsewhere."""
    crops = tree.channel_examples
    if crops is None:
        return {}
    channels = {(f.layer, f.channel): f.stage for f in shown if f.channels and f.layer in crops.values}
    return {
        f"{channels[key]}/{key[1]}": [data_uri(crop, quality=QUALITY) for crop in several]
        for key, several in crops.crops_of([*channels], side=SHELF).items()
    }


def _feature(tree: Graph, feature: Vertex, number: Mapping[Key, int], width: int, side: int) -> dict[str, Any]:
    ratio = width / tree.photo.geometry.photo_size[1]
    edges = [
        _edge(tree, edge, number[edge.child.key], side, against=against)
        for against, group in ((False, feature.edges or ()), (True, feature.opponents))
        for edge in group
        if edge.child.key in number
    ]
    entry: dict[str, Any] = {
        "name": feature.name,
        "label": label_of(feature) if feature.channels else "",
        "stage": feature.stage,
        "channels": list(feature.channels),
        "value": feature.value,
        "edges": edges,
        "bias": feature.bias_share if reference_words(tree.parameters) is None else None,
        "balance": None if math.isnan(feature.pro) else [feature.pro, feature.contra, feature.offset],
    }
    if feature.channels:
        entry["box"] = [value * ratio for value in region(tree, feature)]
        effective = effective_region(tree, feature)
        entry["effective"] = [value * ratio for value in effective] if effective else None
        if feature.pattern:
            entry["pattern"] = data_uri(pattern_picture(tree, feature, side=side), quality=QUALITY)
        if feature.image is not None:
            entry["image"] = data_uri(image_picture(feature.image, 2 * SHELF), quality=QUALITY)
        entry["examples"] = {
            order: [data_uri(example_picture(each, 2 * SHELF), quality=QUALITY) for each in several]
            for order in ("contribution", "activation")
            if (several := [example for example in feature.examples if example.order == order])
        }
    return entry


def _edge(tree: Graph, edge: Support, child: int, side: int, *, against: bool) -> dict[str, Any]:
    return {
        "to": child,
        "share": edge.share,
        "effect": edge.effect,
        "average": edge.average,
        "doubt": edge.disagrees and not against,
        "opponent": against,
        "against": against or edge.share < 0,
        "picture": data_uri(
            feature_picture(tree, edge, side=side, against=against or edge.share < 0, flipped=against),
            quality=QUALITY,
        ),
    }

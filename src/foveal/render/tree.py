"""A decision taken apart, on one page: the photo, and a row a stage with the features that hold most of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.hierarchy.growth import placed
from foveal.render.figures import LINE, MUTED, fit_photo, paragraph, stacked
from foveal.render.overlay import INK, PAPER, draw_overlay
from foveal.render.text import shorten, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

    from foveal.hierarchy.tree import Edge, Feature, Key, Tree

Box = tuple[float, float, float, float]
FLOW, DOUBT = (96, 128, 168), (190, 92, 70)
SMALLEST = 28  # pixels of the photo that a crop has at least


def poster(tree: Tree, *, most: int = 8, side: int = 132) -> Image.Image:
    """The `most` strongest features of each stage, and how much of the decision flows through each.

    A feature that supports several others stands once; lines are as thick as what flows along them, level by level.
    A line whose measured effect says otherwise is drawn in another colour.
    """
    rows = _rows(tree, most)
    size = side / 9
    gap, between = side / 6, side * 0.75
    left = side * 0.9
    width = round(left + max(len(row) for row in rows) * (side + gap) + gap)
    tall = round(side * 1.8)
    height = round(tall + len(rows) * (side + between + size * LINE) + size * 2)
    page = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(page)
    middle = left + (width - left) / 2
    photo = _with_boxes(tree, rows[0] if rows else [], tall)
    page.paste(photo, (round(middle - photo.width / 2), 0))
    places: dict[Key, tuple[float, float]] = {tree.decision.key: (middle, tall)}
    flow, incoming = tree.flow(), _strongest(tree)
    for number, row in enumerate(rows):
        y = tall + between + number * (side + between + size * LINE)
        write(
            draw,
            (size, y + side / 2),
            shorten(row[0].layer, size * 1.1, left - size * 2),
            size * 1.1,
            ink=INK,
            anchor="lm",
        )
        start = middle - (len(row) * (side + gap) - gap) / 2
        for k, feature in enumerate(row):
            places[feature.key] = (start + k * (side + gap) + side / 2, y)
    below = {key: (x, y + side + size * LINE) for key, (x, y) in places.items()} | {tree.decision.key: (middle, tall)}
    _draw_edges(draw, tree, places, below, flow)
    for row in rows:
        for feature in row:
            x, y = places[feature.key]
            page.paste(
                feature_picture(tree, feature, incoming[feature.key], side=side), (round(x - side / 2), round(y))
            )
            words = f"{feature.channel}: {100 * flow[feature.key]:.1f} %"
            write(draw, (x, y + side + size * 0.75), words, size, ink=MUTED, anchor="mm")
    title = paragraph(f"{tree.target}, by {tree.model}: score {tree.decision.value:.3g}", width, size * 1.5, INK)
    caption = paragraph(_caption(tree, rows), width, size, MUTED)
    return stacked([title, page, caption], edge=round(size), gap=round(size))


def feature_picture(tree: Tree, feature: Feature, edge: Edge, *, side: int = 132) -> Image.Image:
    """The part of the photo that the neuron can see, with its contributions."""
    map = whole_map(tree, edge)
    drawn = draw_overlay(tree.photo, map, sign="positive", colour_bar=False)
    x0, y0, x1, y1 = region(tree, feature)
    grow = max(0.0, SMALLEST - min(x1 - x0, y1 - y0)) / 2
    box = (
        max(0, round(x0 - grow)),
        max(0, round(y0 - grow)),
        min(drawn.width, round(x1 + grow)),
        min(drawn.height, round(y1 + grow)),
    )
    return drawn.crop(box).resize((side, side), Image.Resampling.BICUBIC)


def whole_map(tree: Tree, edge: Edge) -> Float[NDArray[np.float32], "h w"]:
    """The contributions of an edge on the whole stage."""
    found = placed(edge.map.detach().cpu().float(), edge.corner, tree.stages[edge.child.stage].shape[1:])
    return found.numpy()


def region(tree: Tree, feature: Feature) -> Box:
    """x0, y0, x1, y1 on the photo: what the neuron can see, by its stage's receptive field."""
    stage, geometry = tree.stages[feature.stage], tree.photo.geometry
    height, width = geometry.input_size
    (y, x), (h, w) = feature.place, stage.shape[1:]
    cy, cx = (y + 0.5) * height / h, (x + 0.5) * width / w
    ry, rx = (field / 2 for field in stage.receptive_field)
    corners = np.array([[max(0.0, cx - rx), max(0.0, cy - ry)], [min(width, cx + rx), min(height, cy + ry)]])
    (x0, y0), (x1, y1) = np.asarray(geometry.points_to_photo(corners)).tolist()
    tall, wide = geometry.photo_size
    return max(0.0, x0), max(0.0, y0), min(float(wide), x1), min(float(tall), y1)


def _rows(tree: Tree, most: int) -> list[list[Feature]]:
    """The features shown, the last stage first, the strongest to the left."""
    flow = tree.flow()
    rows = []
    for stage in reversed(range(len(tree.stages))):
        found = [f for f in tree.features.values() if f.stage == stage and f.key in flow]
        if found:
            rows.append(sorted(found, key=lambda f: -flow[f.key])[:most])
    return rows


def _strongest(tree: Tree) -> Mapping[Key, Edge]:
    """Vertex -> the edge to it that carries most."""
    found: dict[Key, Edge] = {}
    for parent in [tree.decision, *tree.features.values()]:
        for edge in parent.edges or ():
            key = edge.child.key
            if key not in found or edge.share > found[key].share:
                found[key] = edge
    return found


def _draw_edges(
    draw: ImageDraw.ImageDraw,
    tree: Tree,
    places: Mapping[Key, tuple[float, float]],
    below: Mapping[Key, tuple[float, float]],
    flow: Mapping[Key, float],
) -> None:
    """Lines from parents to children; the thickest of each level carries most of that level."""
    shown = [
        (parent, edge, flow[parent.key] * edge.share)
        for parent in [tree.decision, *tree.features.values()]
        for edge in parent.edges or ()
        if parent.key in places and edge.child.key in places
    ]
    for parent, edge, carried in sorted(shown, key=lambda one: one[2]):
        most = max(other for one, _, other in shown if one.stage == parent.stage)
        colour = DOUBT if edge.disagrees else FLOW
        draw.line([below[parent.key], places[edge.child.key]], fill=colour, width=max(1, round(9 * carried / most)))


def _with_boxes(tree: Tree, features: Sequence[Feature], height: int) -> Image.Image:
    """The photo, with what the features of the last stage can see outlined."""
    photo = fit_photo(tree.photo, height)
    picture = photo.resize((round(photo.width * height / photo.height), height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    tall, wide = tree.photo.geometry.photo_size
    for feature in features:
        x0, y0, x1, y1 = region(tree, feature)
        sx, sy = picture.width / wide, picture.height / tall
        draw.rectangle((x0 * sx, y0 * sy, x1 * sx - 1, y1 * sy - 1), outline=PAPER, width=2)
    return picture


def _caption(tree: Tree, rows: Sequence[Sequence[Feature]]) -> str:
    kept = ", ".join(f"{100 * share:.0f} %" for share in tree.kept()[1:])
    said = [
        f"Channel and the share of the decision that flows through it, rule {tree.parameters.get('rule')}.",
        f"The tree holds {kept} of the decision, level by level." if kept else "",
        "A crop shows what the neuron can see; boxes on the photo are those of the last stage.",
    ]
    if any(edge.effect is not None for edge in tree.decision.edges or ()):
        said.append("Red: taking the channel away does not lower what it was found to support.")
    return " ".join([*filter(None, said), *(f"{note}." for note in tree.notes)])

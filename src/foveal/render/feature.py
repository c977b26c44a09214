"""One feature of a taken-apart decision: what it can see, what supports its parent there, what drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from foveal.images import Geometry, Photo, Place
from foveal.images.window import placed
from foveal.render.overlay import draw_overlay, fit
from foveal.render.part_picture import part_picture

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray

    from foveal.engine.structure import Stage
    from foveal.render.drawable_trees import Graph, Support, Vertex

Box = tuple[float, float, float, float]
SMALLEST = 28  # pixels of the photo that a crop has at least


def feature_picture(
    tree: Graph, edge: Support, *, side: int = 132, against: bool = False, flipped: bool = False
) -> Image.Image:
    """The part of the photo that the feature can see, with its contributions to its parent.

    Args:
        against: the contributions below 0 are drawn, in blue, instead of those above.
        flipped: what the edge holds counts with the other sign, as of what opposes its parent.

    Of a part, what it brings to all that it is part of is drawn.
    """
    stage = tree.stages[edge.child.stage]
    if edge.child.part is not None:
        photo, map = cropped(tree.photo, crop_of(tree, edge.child)), part_map(tree, edge.child)
        place = stage.place and Place(*stage.place).settled(map.shape, photo.geometry.input_size)
        drawn = part_picture(
            photo, -map if bool(map.sum() < 0) is not against else map, place, side=side, against=against
        )
        return drawn.resize((side, side), Image.Resampling.BICUBIC)
    map = whole_map(tree, edge)
    part = fit(cropped(tree.photo, crop_of(tree, edge.child)), side)
    drawn = draw_overlay(
        part,
        -map if flipped else map,
        place=stage.place and Place(*stage.place).settled(map.shape, part.geometry.input_size),
        sign="negative" if against else "positive",
        limit=float(np.abs(map).max()) or None,
        color_bar=False,
    )
    return drawn.resize((side, side), Image.Resampling.BICUBIC)


def pattern_picture(tree: Graph, feature: Vertex, *, side: int = 132) -> Image.Image:
    """What drives the feature in the same part of the photo: gray where nothing does."""
    assert feature.pattern is not None, "Tree.look finds patterns"
    values = feature.pattern.values.float()
    if len(values) != 3:
        values = values.mean(0, keepdim=True).expand(3, -1, -1)
    height, width = tree.photo.geometry.input_size
    whole = np.zeros((height, width, 3), np.float32)
    y, x = feature.pattern.corner
    part = values.permute(1, 2, 0).numpy()
    whole[y : y + part.shape[0], x : x + part.shape[1]] = part
    x0, y0, x1, y1 = tree.photo.geometry.boxes_to_input(crop_of(tree, feature)).tolist()
    box = (max(0, round(x0)), max(0, round(y0)), min(width, round(x1)), min(height, round(y1)))
    shown = whole[box[1] : box[3], box[0] : box[2]]
    top = np.quantile(np.abs(shown), 0.995) if shown.size else 0.0
    unit = np.clip(shown / top, -1, 1) if top > 0 else shown
    return Image.fromarray(_bytes(0.5 + 0.5 * unit)).resize((side, side), Image.Resampling.BICUBIC)


def whole_map(tree: Graph, edge: Support) -> Float[NDArray[np.float32], "h w"]:
    """The contributions of an edge on the whole stage."""
    whole = placed(edge.map.detach().cpu().float(), edge.corner, tree.stages[edge.child.stage].shape[1:])
    return whole.numpy()


def part_map(tree: Graph, part: Vertex) -> Float[NDArray[np.float32], "h w"]:
    """The contributions of a part to all parts above that are known to rest on it."""
    edges = [edge for above in [tree.decision, *tree.features.values()] for edge in above.edges or ()]
    return np.asarray(sum(whole_map(tree, edge) for edge in edges if edge.child.key == part.key), np.float32)


def region(tree: Graph, feature: Vertex) -> Box:
    """x0, y0, x1, y1 on the photo: what the neuron can see, by its stage's receptive field; where a part lies."""
    if feature.box:
        return _on_photo(tree.photo.geometry, feature.box)
    return _receptive(tree.photo.geometry, tree.stages[feature.stage], feature.place)


def seen_at(photo: Photo, stage: Stage, place: tuple[int, int], *, side: int) -> Image.Image:
    """What a neuron of a stage sees of a photo, as a square."""
    box = seen_box(photo.geometry, stage, place)
    return Image.fromarray(cropped(photo, box).pixels).resize((side, side), Image.Resampling.LANCZOS)


def seen_box(geometry: Geometry, stage: Stage, place: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where that lies: x0, y0, x1, y1 in pixels of the photo, grown to a legible size."""
    return _legible(_receptive(geometry, stage, place), geometry.photo_size)


def _receptive(geometry: Geometry, stage: Stage, place: tuple[int, int]) -> Box:
    height, width = geometry.input_size
    lie = Place(*stage.place) if stage.place else Place.covering(stage.shape[1:], geometry.input_size)
    cx, cy = lie.points(place).tolist()
    ry, rx = (field / 2 for field in stage.receptive_field)
    box = (max(0.0, cx - rx), max(0.0, cy - ry), min(width, cx + rx), min(height, cy + ry))
    return _on_photo(geometry, box)


def effective_region(tree: Graph, feature: Vertex) -> Box | None:
    """The same, of what the feature in fact responds to; None before `Tree.look`, or where it responds to nothing."""
    if feature.pattern is None or not np.isfinite(feature.pattern.region).all():
        return None
    return _on_photo(tree.photo.geometry, feature.pattern.region)


def crop_of(tree: Graph, feature: Vertex) -> tuple[int, int, int, int]:
    """The region in whole pixels of the photo, grown to a legible size."""
    return _legible(region(tree, feature), tree.photo.geometry.photo_size)


def _legible(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    (x0, y0, x1, y1), (tall, wide) = box, size
    grow = max(0.0, SMALLEST - min(x1 - x0, y1 - y0)) / 2
    return (
        max(0, round(x0 - grow)),
        max(0, round(y0 - grow)),
        max(1, min(wide, round(x1 + grow))),
        max(1, min(tall, round(y1 + grow))),
    )


def is_cropped(tree: Graph) -> bool:
    """Whether the network did not see all of the photo."""
    height, width = tree.photo.geometry.photo_size
    x0, y0, x1, y1 = tree.photo.geometry.seen
    return x0 > 1 or y0 > 1 or x1 < width - 1 or y1 < height - 1


def crop_at(photo: Photo, box: Box) -> Photo:
    """What lies in a box of the network's input, grown to a legible size."""
    return cropped(photo, _legible(_on_photo(photo.geometry, box), photo.geometry.photo_size))


def cropped(photo: Photo, box: tuple[int, int, int, int]) -> Photo:
    """A part of a photo, which still knows where the network looked."""
    x0, y0, x1, y1 = box
    known = photo.geometry
    offset = (known.offset[0] - y0 * known.scale[0], known.offset[1] - x0 * known.scale[1])
    geometry = Geometry((y1 - y0, x1 - x0), known.input_size, known.scale, offset)
    return Photo(np.ascontiguousarray(photo.pixels[y0:y1, x0:x1]), geometry, photo.source, photo.notes)


def _on_photo(geometry: Geometry, box: Box) -> Box:
    """A box of the network's input, clipped to the photo."""
    x0, y0, x1, y1 = geometry.boxes_to_photo(box).tolist()
    tall, wide = geometry.photo_size
    return max(0.0, x0), max(0.0, y0), min(float(wide), x1), min(float(tall), y1)


def _bytes(unit: Float[NDArray[np.float32], "h w 3"]) -> UInt8[NDArray[np.uint8], "h w 3"]:
    return (unit * 255 + 0.5).clip(0, 255).astype(np.uint8)

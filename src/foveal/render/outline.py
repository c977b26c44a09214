"""The box or the region that was asked about, as a line on its photo."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from foveal.images import Place
from foveal.images.run_lengths import mask_of_runs
from foveal.render.contours import draw_contours
from foveal.render.overlay import INK, PAPER, line_width

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Bool
    from numpy.typing import NDArray

    from foveal.images import Photo
    from foveal.render.overlay import Outline

SMALLEST = 1 / 20  # of the photo's short side: what is smaller has a circle around it


def outline_of(spec: Mapping[str, Any], i: int) -> Outline | None:
    """Draws where image i's target lies; None where that is no place on the image.

    Args:
        spec: see `TargetScore.spec`.
    """
    if spec.get("kind") == "box":
        return partial(_with_box, spec["box"][i])
    masks = spec.get("mask") if spec.get("kind") == "region" else None
    return partial(_with_region, mask_of_runs(masks[i])) if masks and masks[i] else None


def _with_box(box: Sequence[float], picture: Image.Image, photo: Photo) -> Image.Image:
    """The picture with the sides of a box, which is in pixels of the network's input."""
    picture, width = picture.copy(), max(1, round(line_width(photo)))
    x0, y0, x1, y1 = photo.geometry.boxes_to_photo([box])[0]
    right, bottom = (max(side - width, 0) for side in picture.size)
    corners = [*np.clip([x0, y0], width, [right, bottom]), *np.clip([x1, y1], width, [right, bottom])]
    draw = ImageDraw.Draw(picture)
    rim = [corners[0] - width, corners[1] - width, corners[2] + width, corners[3] + width]
    draw.rectangle(rim, outline=INK, width=3 * width)
    draw.rectangle(corners, outline=PAPER, width=width)
    return picture


def _with_region(mask: Bool[NDArray[np.bool_], "h w"], picture: Image.Image, photo: Photo) -> Image.Image:
    """The picture with the border of a region, which covers the network's input edge to edge."""
    size = (mask.shape[0], mask.shape[1])
    place = Place.covering(size, photo.geometry.input_size)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    points = photo.geometry.cells_to_photo([[rows[0], columns[0]], [rows[-1], columns[-1]]], size, place)
    if np.ptp(points, axis=0).max() < SMALLEST * min(picture.size):
        return _with_circle(points.mean(0), picture, photo)
    unit = photo.geometry.map_to_photo(mask.astype(np.float32), place=place)
    pixels = np.asarray(picture, np.float32) / np.float32(255)
    drawn = draw_contours(
        pixels, unit, [(0.5, np.ones(3, np.float32))], width=line_width(photo),
        cell=min(picture.height / size[0], picture.width / size[1]),
    )  # fmt: skip
    return Image.fromarray(np.round(drawn.clip(0, 1) * 255).astype(np.uint8))


def _with_circle(middle: NDArray[np.float64], picture: Image.Image, photo: Photo) -> Image.Image:
    picture, width = picture.copy(), max(1, round(line_width(photo)))
    x, y = middle
    radius = max(5.0, SMALLEST * min(picture.size) / 2)
    draw = ImageDraw.Draw(picture)
    for more, ink, thick in ((width, INK, 3 * width), (0, PAPER, width)):
        reach = radius + more
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=ink, width=thick)
    return picture

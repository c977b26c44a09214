"""A part of the evidence on a photo: the photo shows where the part lies, and is dim elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from foveal.images.planes import plane
from foveal.render.contours import draw_contours
from foveal.render.overlay import LUMA, fit, line_width, mark_unseen
from foveal.render.tree_lines import AGAINST, FOR

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray
    from PIL import Image

    from foveal.images import Photo, Place

HELD = 0.5  # of the evidence, that lies inside the line
DIM = 0.6  # brightness of the photo where the part is not


def part_picture(
    photo: Photo,
    map: Float[NDArray[np.floating], "h w"],
    place: Place | None,
    *,
    side: int,
    against: bool = False,
    held: float = HELD,
) -> Image.Image:
    """The photo with a line around the positions that hold half of the evidence, or reach half of the
    maximum, dim and gray outside of it.

    Args:
        photo: all of it, or what was cropped.
        map: evidence at every position of the layer.
        place: where these lie.
        side: pixels of the long side.
        against: the evidence below 0 counts, and the line is blue.
        held: the share of the evidence inside the line.
    """
    shown = fit(photo, side)
    evidence = np.clip(-plane(map) if against else plane(map), 0, None).astype(np.float64)
    level = min(level_that_holds(evidence, held), 0.5 * float(evidence.max()))
    unit = np.asarray(evidence / level if level > 0 else evidence, np.float32)
    on_photo = np.asarray(shown.geometry.map_to_photo(unit, place=place), np.float32)
    pixels = np.asarray(shown.pixels / np.float32(255), np.float32)
    gray = (pixels @ LUMA)[..., None] * np.float32(DIM)
    lit = np.nan_to_num(np.clip(2 * on_photo - 1, 0, 1))[..., None]
    mixed = np.asarray(pixels * lit + (0.25 * DIM * pixels + 0.75 * gray) * (1 - lit), np.float32)
    height, width = shown.geometry.photo_size
    color = np.array(AGAINST if against else FOR, np.float32) / 255
    if level > 0:
        cell = min(height / unit.shape[0], width / unit.shape[1])
        mixed = draw_contours(mixed, on_photo, [(1.0, color)], width=1.6 * line_width(shown), cell=min(cell, 4.0))
    return mark_unseen(mixed, np.isnan(on_photo), shown)


def level_that_holds(evidence: Float[NDArray[np.floating], "h w"], share: float) -> float:
    """The value that the fewest positions reach that hold this share; 0 where there is no evidence."""
    ordered = np.sort(evidence.ravel())[::-1]
    held = ordered.cumsum()
    return float(ordered[int((held < share * held[-1]).sum())]) if held.size and held[-1] > 0 else 0.0

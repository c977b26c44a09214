"""Groups of maps of one class, for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from foveal.images import Photo
from foveal.render.figures import grid
from foveal.render.overlay import draw_overlay
from foveal.render.tree_words import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.render.drawable import GroupedClasses

SHOWN = 6  # images of a group


def group_sheet(result: GroupedClasses, k: int, *, side: int) -> Image.Image:
    """A row a group: the mean of its maps on the mean of its images, then images of it with theirs."""
    suspect = result.suspects[k]
    cells, rows = [], []
    for group in suspect.groups:
        row = [
            draw_overlay(
                _mean([result.photos[i] for i in group.pictures]),
                group.mean,
                sign="positive",
                color_bar=False,
                side=side,
            )
        ]
        row += [
            draw_overlay(result.photos[i], result.maps[i], sign="positive", limit="robust", color_bar=False, side=side)
            for i in group.pictures[:SHOWN]
        ]
        cells.append(row)
        rows.append(f"{count(len(group.pictures), 'image')}\n{group.caption()}")
    width = max(len(row) for row in cells)
    headings = ["mean of the group", "images", *[""] * (width - 2)][:width]
    summary = suspect.summary
    return grid(
        cells, columns=headings, rows=rows, title=f"{suspect.name}, {result.model}",
        caption=f"{summary[0].upper()}{summary[1:]}. {_legend(result)}", side=side,
    )  # fmt: skip


def _legend(result: GroupedClasses) -> str:
    """What the colors are, and the hatching where there is some."""
    hatched = any(
        tuple(round(edge) for edge in photo.geometry.seen) != (0, 0, *photo.geometry.photo_size[::-1])
        for photo in result.photos
    )
    said = "Each map has its own color scale; only evidence for the class is shown."
    return f"{said} Hatched areas were not seen by the network." if hatched else said


def _mean(photos: Sequence[Photo]) -> Photo:
    """The mean of images, at the size of the first."""
    height, width = photos[0].geometry.photo_size
    each = [np.asarray(Image.fromarray(photo.pixels).resize((width, height)), np.float64) for photo in photos]
    mean = np.stack(each).mean(0)
    return Photo(mean.round().astype(np.uint8), photos[0].geometry, "mean")

"""A few-shot episode on one sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from foveal.render.figures import fit_photo, grid
from foveal.render.overlay import PAPER, draw_overlay
from foveal.render.scale import choose_scale

if TYPE_CHECKING:
    from foveal.images import Photo
    from foveal.render.drawable import ClassEvidence

SHOWN = 4  # examples of a class


def episode_sheet(episode: ClassEvidence, *, side: int = 192) -> Image.Image:
    """Examples above, evidence for each class below; a query's maps share a scale."""
    first = next(iter(episode.evidence.values()))
    examples = [_mosaic(photos[:SHOWN], side) for photos in episode.support.values() if photos]
    cells: list[list[Image.Image | None]] = [[None, *examples]] if examples else []
    rows = ["examples"] if examples else []
    for i, photo in enumerate(first.photos):
        maps = [why.map[i].detach().cpu().float().numpy() for why in episode.evidence.values()]
        scale = choose_scale(np.concatenate([map.ravel() for map in maps]))
        drawn = [
            draw_overlay(photo, map, sign=scale.sign, limit=scale.limit, color_bar=False, side=side) for map in maps
        ]
        cells.append([fit_photo(photo, side), *drawn])
        said = [f"{c}: {100 * p:.0f} %" for c, p in zip(episode.classes, episode.chances[i].tolist(), strict=True)]
        rows.append("\n".join([episode.decided[i], *said]))
    return grid(
        cells,
        columns=["query", *episode.classes],
        rows=rows,
        title=f"{first.method} of {first.model}: which of these classes?",
        caption=" ".join(
            ["The maps of a query share a scale; the first words of a row are what was decided."]
            + [f"{note}." for note in episode.notes]
        ),
        side=side,
    )


def _mosaic(photos: tuple[Photo, ...], side: int) -> Image.Image:
    """One photo, or up to four in a square."""
    if len(photos) == 1:
        return fit_photo(photos[0], side)
    half = side // 2 - 1
    whole = Image.new("RGB", (side, side), PAPER)
    for k, photo in enumerate(photos):
        picture = fit_photo(photo, half)
        x, y = (k % 2) * (half + 2), (k // 2) * (half + 2)
        whole.paste(picture, (x + (half - picture.width) // 2, y + (half - picture.height) // 2))
    return whole

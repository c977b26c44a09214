"""The labels of an image on one sheet: the photo, then a map for each, all on one scale of colors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foveal.render.figures import fit_photo
from foveal.render.scale import choose_scale
from foveal.render.tile_grid import GridTile, map_tile, tile_grid, values_of

if TYPE_CHECKING:
    from PIL import Image

    from foveal.render.drawable import Maps

COLUMNS = 5


def label_sheet(why: Maps, each: int, *, layer: str, side: int, title: str | None = None) -> Image.Image:
    """One image below the other, each with its photo and its maps of `layer`.

    Args:
        each: how many rows in succession are of one image.
        side: of a tile in pixels.
        title: above it; method and model if left out, nothing if "".
    """
    rows: list[list[GridTile]] = []
    for start in range(0, len(why.photos), each):
        maps = [values_of(why.maps[layer][start + j]) for j in range(each)]
        scale = choose_scale(np.stack(maps))
        photo = why.photos[start]
        tiles = [GridTile(fit_photo(photo, side), Path(photo.source).name)]
        for j, map in enumerate(maps):
            name, *numbers = why.caption_lines(start + j)
            picture = map_tile(photo, map, why.where.get(layer), side=side, scale=scale)
            tiles.append(GridTile(picture, name, ", ".join(numbers)))
        rows += [tiles[k : k + COLUMNS] for k in range(0, len(tiles), COLUMNS)]
    words = f"{why.method} of {why.model} at {layer}" if title is None else title
    meaning = why.target_spec.get("meaning")
    caption = "All maps of an image share one scale." + (f" The output is {meaning}." if meaning else "")
    return tile_grid(rows, side=side, title=words, caption=caption)

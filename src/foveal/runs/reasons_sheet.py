"""The groups of a class in a picture: the mean of their maps, and images with theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from foveal.errors import ImageError, ResultError, counted
from foveal.images import Photo
from foveal.render.tile_grid import GridTile, map_tile, tile_grid, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.runs.result import Run

SHOWN = 6  # images of a group
ROWS = 8  # groups of a class


class DrawableGroup(Protocol):
    """What is drawn of a group."""

    @property
    def class_name(self) -> str: ...
    @property
    def rows(self) -> NDArray[Any]: ...
    @property
    def mean_map(self) -> Tensor: ...
    @property
    def flagged(self) -> bool: ...
    @property
    def summary(self) -> str: ...
    def __len__(self) -> int: ...


class DrawableReasons(Protocol):
    """What is drawn of grouped decisions."""

    @property
    def run(self) -> Run: ...
    @property
    def rows(self) -> NDArray[Any]: ...
    @property
    def typical(self) -> NDArray[Any]: ...
    @property
    def groups(self) -> Sequence[DrawableGroup]: ...


def groups_sheet(reasons: DrawableReasons, class_name: str, side: int) -> Image.Image:
    """A row a group, the flagged ones first."""
    every = [group for group in reasons.groups if group.class_name == class_name]
    groups = sorted(every, key=lambda group: not group.flagged)[:ROWS]
    rows = [_row(reasons, group, side) for group in groups] or [[GridTile(heading="no decision was grouped")]]
    headings = [f"{'Flagged: ' if group.flagged else ''}{group.summary}" for group in groups]
    whole = sum(map(len, every))
    more = f"{len(every) - ROWS} more groups are not shown. " if len(every) > ROWS else ""
    caption = (
        f"{more}Left: the mean of the group's maps (positive evidence, each map with the sum 1) on the mean of the "
        f"images shown. Then its most typical images, each map with its own scale; layer {reasons.run.layers[-1]}."
    )
    title = f"{class_name}: {counted(whole, 'image')}, {counted(len(every), 'group')} by their reasons"
    return tile_grid(rows, side=side, title=title, caption=caption, headings=headings)


def _row(reasons: DrawableReasons, group: DrawableGroup, side: int) -> list[GridTile]:
    """The mean map on the mean of the images, then the images."""
    typical = dict(zip(reasons.rows.tolist(), reasons.typical.tolist(), strict=True))
    chosen = sorted(group.rows.tolist(), key=lambda row: -typical[row])[:SHOWN]
    photos = [_photo(reasons, row) for row in chosen]
    tiles = [_tile(reasons, row, photo, side) for row, photo in zip(chosen, photos, strict=True)]
    read = [photo for photo in photos if photo is not None]
    if not read:
        return [GridTile(heading="mean of the maps", detail="no photo can be read"), *tiles]
    place = reasons.run.record.places.get(reasons.run.layers[-1])
    mean = map_tile(_mean(read), values_of(group.mean_map), place, side=side)
    return [GridTile(mean, "mean of the maps", counted(len(group), "image")), *tiles]


def _photo(reasons: DrawableReasons, row: int) -> Photo | None:
    try:
        return reasons.run.photo(row)
    except (ImageError, ResultError):
        return None


def _tile(reasons: DrawableReasons, row: int, photo: Photo | None, side: int) -> GridTile:
    run = reasons.run
    label, predicted = run.table["label"][row], run.table["predicted"][row]
    wrong = label is not None and predicted is not None and label != predicted
    name = str(run.table["uri"][row]).rpartition("/")[2]
    heading = f"labeled {label}" if wrong else name
    if photo is None:
        return GridTile(None, heading, "the photo cannot be read")
    layer = run.layers[-1]
    map = values_of(run.row_maps(row)[layer])
    return GridTile(map_tile(photo, map, run.record.places.get(layer), side=side), heading)


def _mean(photos: Sequence[Photo]) -> Photo:
    """The mean of images, at the size of the first."""
    height, width = photos[0].geometry.photo_size
    each = [np.asarray(Image.fromarray(photo.pixels).resize((width, height)), np.float64) for photo in photos]
    return Photo(np.stack(each).mean(0).round().astype(np.uint8), photos[0].geometry, "mean")

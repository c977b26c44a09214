"""A run in pictures: some of its photos with their maps, the distribution of its numbers, how its classes came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from foveal.errors import ImageError, ResultError, counted
from foveal.render.bar_sheet import BarBlock, SpreadBar, bar_sheet
from foveal.render.histogram import histogram_sheet
from foveal.render.scale import percent
from foveal.render.tile_grid import GridTile, map_tile, tile_grid, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo
    from foveal.runs.record import RunManifest

SHOWN, ROW = 24, 6
CLASSES = 40


class DrawableRun(Protocol):
    """What is drawn of a run."""

    @property
    def record(self) -> RunManifest: ...
    @property
    def table(self) -> Mapping[str, NDArray[Any]]: ...
    @property
    def layers(self) -> tuple[str, ...]: ...
    @property
    def summary(self) -> str: ...
    @property
    def agreement(self) -> str: ...
    def __len__(self) -> int: ...
    def photo(self, i: int) -> Photo: ...
    def row_maps(self, i: int) -> Mapping[str, Tensor]: ...
    def classes(self) -> list[dict[str, Any]]: ...


def contact_sheet(run: DrawableRun, side: int) -> Image.Image:
    """Photos with their maps, evenly out of all rows that have one; each map has its own scale."""
    rows = np.flatnonzero([error is None for error in run.table["error"]])
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).round().astype(int))]
    tiles = [_tile(run, int(i), side) for i in chosen]
    left = f"{len(chosen)} of {counted(len(run), 'image')}" if len(chosen) < len(run) else counted(len(run), "image")
    grid = [tiles[i : i + ROW] for i in range(0, len(tiles), ROW)] or [[GridTile(heading="no image was explained")]]
    return tile_grid(grid, side=side, title=f"{run.summary}", caption=f"{left}; maps of {run.layers[-1]}.")


def histograms(run: DrawableRun, side: int) -> Image.Image:
    """How each column of numbers is distributed."""
    return histogram_sheet(run.summary, {name: run.table[name] for name in run.record.numbers}, width=side * 9 // 2)


def class_bars(run: DrawableRun, side: int) -> Image.Image:
    """The share of each class that is predicted right, the worst first; without labels, how many each has."""
    rows = run.classes()
    labeled = bool(rows) and "label" in rows[0]
    key = "label" if labeled else "predicted"
    rows = sorted(rows, key=lambda row: (row["right"] if row["right"] is not None else 2.0) if labeled
                  else -row["pictures"])  # fmt: skip
    bars = [_class_bar(str(row[key]), row, labeled=labeled) for row in rows[:CLASSES]]
    heading = f"share {run.agreement}, the lowest first" if labeled else "images by predicted class"
    more = f"{len(rows) - CLASSES} more classes are not shown." if len(rows) > CLASSES else ""
    return bar_sheet(run.summary, [BarBlock(heading, bars)], more, width=side * 9 // 2)


def _class_bar(name: str, row: dict[str, float | int | str | None], *, labeled: bool) -> SpreadBar:
    count = int(row["pictures"] or 0)
    if not labeled:
        return SpreadBar(name, count, 0.0, str(count))
    share = row["right"]
    if not isinstance(share, float):
        return SpreadBar(name, float("nan"), 0.0, f"none of {count} explained")
    other = f", else {row['confused_with']}" if row["confused_with"] else ""
    return SpreadBar(name, share, 0.0, f"{percent(share)} of {count - int(row['failed'] or 0)}{other}")


def _tile(run: DrawableRun, i: int, side: int) -> GridTile:
    label, predicted = run.table["label"][i], run.table["predicted"][i]
    heading = str(run.table["target"][i] or predicted or run.table["uri"][i])
    wrong = label is not None and predicted is not None and label != predicted
    detail = f"labeled {label}" if wrong else str(run.table["uri"][i]).rpartition("/")[2]
    layer = run.layers[-1]
    map = run.row_maps(i)[layer]
    try:
        photo = run.photo(i)
    except (ImageError, ResultError):
        return GridTile(None, heading, "the photo cannot be read")
    return GridTile(map_tile(photo, values_of(map), run.record.places.get(layer), side=side), heading, detail)

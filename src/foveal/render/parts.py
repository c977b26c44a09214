"""Ranked parts as pictures: the published red, green and blue; a palette for any number; evidence as bars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.errors import ResultError
from foveal.images import Place
from foveal.render.color import from_oklab
from foveal.render.figures import MUTED, fit_photo, grid
from foveal.render.overlay import INK, LUMA, PAPER, beside, draw_overlay, fit
from foveal.render.scale import number
from foveal.render.text import shorten, write

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Photo
    from foveal.render.drawable import PartMaps, PartOrder

    Cells = Float[NDArray[np.float64], "... h w"]

PHOTO = 0.2  # of the gray photo in the published picture
FINE = 28  # cells across from which a map is drawn as the blocks it is made of
FAVOR, AGAINST, NEUTRAL = (214, 96, 36), (52, 96, 190), (150, 150, 156)


def rank_colors(maps: Float[NDArray[np.floating], "k h w"], norm: Float[NDArray[np.floating], "h w"]) -> Cells:
    """(3, h, w) in 0..1: attention, scaled for all parts together, times the norm, scaled, all scaled again.

    Channel k is made of part k; the common scale keeps strong parts bright.
    """
    if len(maps) > 3:
        raise ResultError(f"red, green and blue show three parts, not {len(maps)}: draw the palette picture")
    together = unit(unit(maps) * unit(norm))
    return np.concatenate([together, np.zeros((3 - len(maps), *norm.shape))])


def unit(values: Float[NDArray[np.floating], "*shape"]) -> Float[NDArray[np.float64], "*shape"]:
    """Between 0 for the least and 1 for the greatest; zeros where all are the same."""
    values = np.asarray(values, np.float64)
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def on_photo(photo: Photo, cells: Cells, place: Place | None = None) -> Cells:
    """Cells in the photo's pixels: as blocks where they are fine, smoothly where they are coarse; NaN where unseen."""
    if min(cells.shape[-2:]) < FINE:
        return np.asarray(photo.geometry.map_to_photo(cells, place=place))
    image = photo.geometry.input_size
    place = place or Place.covering((cells.shape[-2], cells.shape[-1]), image)
    upright = place.upright(cells)
    (rows, there), (columns, across) = (
        place.index(axis, np.arange(image[axis]) + 0.5, upright.shape[-2 + axis]) for axis in (0, 1)
    )
    blocks = upright[..., np.floor(rows + 0.5).astype(int)[:, None], np.floor(columns + 0.5).astype(int)]
    return np.asarray(photo.geometry.map_to_photo(blocks * (there[:, None] & across)))


def rank_picture(parts: PartMaps, i: int = 0, *, side: int | None = None) -> Image.Image:
    """0.8 · colors + 0.2 · gray photo, part 1 red, 2 green, 3 blue."""
    photo = fit(parts.photos[i], side) if side else parts.photos[i]
    colors = rank_colors(_array(parts.groups.maps[i]), _array(parts.groups.norm[i]))
    colors = on_photo(photo, colors, parts.where.get(parts.layer))
    gray = _gray(photo)
    mixed = (1 - PHOTO) * np.moveaxis(colors, 0, -1) + PHOTO * gray[..., None]
    return _picture(mixed, gray, np.asarray(np.isnan(colors).any(0)))


def palette(count: int) -> UInt8[NDArray[np.uint8], "k 3"]:
    """Colors as far apart in hue as so many can be, equally light and vivid, the first a red."""
    hues = 0.45 + 2 * math.pi * np.arange(count) / count
    lab = np.stack([np.full(count, 0.68), 0.17 * np.cos(hues), 0.17 * np.sin(hues)], 1)
    return np.round(255 * np.clip(from_oklab(lab), 0, 1)).astype(np.uint8)


def palette_picture(parts: PartMaps, i: int = 0, *, side: int | None = None, legend: bool = True) -> Image.Image:
    """Each place in the color of the slot that takes most of it (`Groups.shares`), as strongly as it is active."""
    photo = fit(parts.photos[i], side) if side else parts.photos[i]
    shares, norm = _array(parts.groups.shares[i]), unit(_array(parts.groups.norm[i]))
    seen = on_photo(photo, np.concatenate([shares, norm[None]]), parts.where.get(parts.layer))
    unseen, seen = np.asarray(np.isnan(seen).any(0)), np.nan_to_num(seen)
    color = np.concatenate([palette(parts.count) / 255, [[1.0, 1.0, 1.0]]])[seen[:-1].argmax(0)]
    opacity = 0.85 * seen[-1, ..., None] ** 0.6
    gray = _gray(photo)
    picture = _picture(color * opacity + (1 - opacity) * (0.85 * gray[..., None]), gray, unseen)
    return beside(picture, _legend(parts, i, picture)) if legend else picture


def evidence_bars(parts: PartMaps, i: int = 0, *, side: int = 224) -> Image.Image:
    """What each part does to the score, for (right) and against (left); the remainder and the offset in gray."""
    rows = [(f"part {k + 1}", float(value)) for k, value in enumerate(parts.evidence[i])]
    rows += [("remainder", float(parts.remainder[i])), ("offset", float(parts.offset[i]))]
    picture = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(picture)
    size = max(11.0, side / 17)
    write(draw, (0, 0), shorten(parts.target[i], size, side), size, ink=INK)
    low, high = min(0.0, *(v for _, v in rows)), max(0.0, *(v for _, v in rows))
    low, high = (low, high) if high > low else (0.0, 1.0)
    left, right, top = side * 0.44, side * 0.82, size * 2
    zero = left - low / (high - low) * (right - left)
    step = min(size * 2.2, (side - top) / len(rows))
    colors = palette(parts.count)
    for j, (name, value) in enumerate(rows):
        y = top + (j + 0.5) * step
        end = zero + value / (high - low) * (right - left)
        color = NEUTRAL if j >= parts.count else FAVOR if value >= 0 else AGAINST
        draw.rectangle((min(zero, end), y - step * 0.3, max(zero, end), y + step * 0.3), fill=color)
        if j < parts.count:
            draw.rectangle((0, y - size * 0.35, size * 0.7, y + size * 0.35), fill=tuple(colors[j].tolist()))
        write(draw, (size, y), shorten(name, size, left - size * 1.4), size, ink=INK, anchor="lm")
        write(draw, (side, y), number(value), size, ink=MUTED, anchor="rm")
    draw.line((zero, top, zero, top + step * len(rows)), fill=INK)
    return picture


def part_sheet(parts: PartMaps, *, side: int = 224) -> Image.Image:
    """A row a picture: photo, parts together, each alone, what no part covers, the evidence by place and by part."""
    three = parts.count <= 3
    cells = []
    for i in range(len(parts)):
        together = rank_picture(parts, i, side=side) if three else palette_picture(parts, i, side=side, legend=False)
        shown = parts.groups.display[i]
        limit = float(shown.max()) or 1.0
        alone = [_overlay(parts, i, shown[k], side, limit) for k in range(parts.count)]
        where = parts.where.get(parts.layer)
        by_place = draw_overlay(parts.photos[i], parts.places[i], place=where, color_bar=False, side=side)
        unseen = _overlay(
            parts, i, parts.groups.unseen[i] * parts.groups.norm[i], side, float(parts.groups.norm[i].max())
        )
        cells.append([fit_photo(parts.photos[i], side), together, *alone, unseen, by_place,
                      evidence_bars(parts, i, side=side)])  # fmt: skip
    names = [f"part {k + 1}" for k in range(parts.count)]
    ranks = "1 red, 2 green, 3 blue" if three else "all parts"
    words = "All parts of a picture share one scale. Not covered: the activity that resembles no seed."
    return grid(
        cells,
        columns=("photo", ranks, *names, "not covered", "evidence by place", "evidence by part"),
        rows=[_told(parts, i) for i in range(len(parts))],
        title=f"{parts.count} parts at {parts.layer} of {parts.model}",
        caption=" ".join((words, *(f"{note}." for note in parts.notes))),
        side=side,
    )


def _told(parts: PartMaps, i: int) -> str:
    lines = [*parts.caption_lines(i), f"{100 * parts.coverage(i):.0f} % covered"]
    sizes = ", ".join(f"{float(size):.0f}" for size in parts.groups.sizes[i])
    return "\n".join([*lines, f"{sizes} of {parts.groups.norm[i].numel()} places"])


def _overlay(parts: PartMaps, i: int, cells: Tensor, side: int, limit: float) -> Image.Image:
    place = parts.where.get(parts.layer)
    return draw_overlay(parts.photos[i], cells, place=place, sign="positive", limit=limit, color_bar=False, side=side)


def _legend(parts: PartMaps, i: int, picture: Image.Image) -> Image.Image:
    """A line a part: its color, rank, activity and size."""
    size = min(max(11.0, picture.height / (2.6 * parts.count + 2)), 22.0)
    strip = Image.new("RGB", (round(size * 15), picture.height), PAPER)
    draw = ImageDraw.Draw(strip)
    for k, color in enumerate(palette(parts.count)):
        y = size * (1 + 2.4 * k)
        draw.rectangle((size * 0.7, y, size * 1.7, y + size), fill=tuple(color.tolist()))
        groups = parts.groups
        if bool(groups.used[i, k]):
            what = f"activity {number(float(groups.scores[i, k]))}, {float(groups.sizes[i, k]):.0f} places"
        else:
            what = "empty"
        write(draw, (size * 2.3, y + size / 2), f"{k + 1}  {what}", size, ink=INK, anchor="lm")
    return strip


def _picture(mixed: Cells, gray: Cells, unseen: NDArray[np.bool_]) -> Image.Image:
    """Pixels in 0..1; dimmed gray where the network did not look."""
    whole = np.where(unseen[..., None], 0.35 * gray[..., None], mixed)
    return Image.fromarray(np.round(255 * np.clip(whole, 0, 1)).astype(np.uint8))


def _gray(photo: Photo) -> Cells:
    return np.asarray(photo.pixels @ LUMA / 255, np.float64)


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().cpu().double().numpy()


def match_sheet(a: PartMaps, b: PartMaps, match: PartOrder, i: int = 0, j: int = 0, *, side: int = 176) -> Image.Image:
    """Two pictures' parts below one another, in the order in which they go together, with their cosines."""
    columns, top, bottom = ["photo"], [fit_photo(a.photos[i], side)], [fit_photo(b.photos[j], side)]
    limits = [float(parts.groups.display[n].max()) or 1.0 for parts, n in ((a, i), (b, j))]
    for k, other in enumerate(match.order.tolist()):
        columns.append(f"{k + 1} with {other + 1}: {float(match.table[k, other]):.2f}")
        top.append(_overlay(a, i, a.groups.display[i, k], side, limits[0]))
        bottom.append(_overlay(b, j, b.groups.display[j, other], side, limits[1]))
    return grid(
        [top, bottom],
        columns=columns,
        rows=["\n".join(parts.caption_lines(n)) for parts, n in ((a, i), (b, j))],
        title=f"Parts at {a.layer} of {a.model}",
        caption=f"Cosines of the parts' vectors: {match}.",
        side=side,
    )

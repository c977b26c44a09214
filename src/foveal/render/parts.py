"""Ranked parts as images: an outline a part on the photo as it is, each part alone, evidence as bars."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from foveal.render.color import from_oklab
from foveal.render.contours import draw_contours
from foveal.render.figures import MUTED, fit_photo, grid, sentence
from foveal.render.overlay import INK, LARGEST, PAPER, WIDE, beside, draw_overlay, fit, line_width, mark_unseen, say
from foveal.render.part_space import parts_in_space
from foveal.render.scale import number, shared_sign, typeset
from foveal.render.text import shorten, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Photo, Place
    from foveal.render.drawable import PartMaps, PartOrder

# Hues that the common kinds of color blindness keep apart (Okabe and Ito 2008, https://jfly.uni-koeln.de/color/), those
# first that stand out on leaves, sky and feathers.
HUES = ((230, 159, 0), (86, 180, 233), (204, 121, 167), (0, 158, 115), (240, 228, 66), (213, 94, 0), (0, 114, 178))
OUTLINE = 0.5  # of a part's largest value
LEVELS = ((0.5, 0.7), (0.75, 1.3))  # of a part's largest value, and the line's width
EVEN = 45  # of the long side: how far the grid of a dilated map is smoothed away
PHOTO = {1: "signal", 3: "volume"}
NEUTRAL = (150, 150, 156)


def palette(count: int) -> UInt8[NDArray[np.uint8], "k 3"]:
    """A color a part: `HUES`, or for more parts as many of one lightness as far apart in hue as they can be."""
    if count <= len(HUES):
        return np.array(HUES[:count], np.uint8).reshape(count, 3)
    hues = 0.45 + 2 * math.pi * np.arange(count) / count
    lab = np.stack([np.full(count, 0.68), 0.17 * np.cos(hues), 0.17 * np.sin(hues)], 1)
    return np.round(255 * np.clip(from_oklab(lab), 0, 1)).astype(np.uint8)


def rank_picture(parts: PartMaps, i: int = 0, *, side: int | None = None, legend: bool = True) -> Image.Image:
    """The photo with an outline a part, at half of its largest value, and the part's rank at its seed.

    A signal has a strip a part below it, and the voxels of a volume the color of their part.
    """
    alone = parts.groups.shares[i, : parts.count] * parts.groups.norm[i]
    if parts.photos[i].values is not None:
        used, lie = np.asarray(parts.groups.used[i].cpu().numpy()), parts.where.get(parts.layer)
        picture = parts_in_space(parts.photos[i], alone, lie, palette(parts.count), used, side or WIDE)
        return beside(picture, _legend(parts, i, picture)) if legend else picture
    photo = fit(parts.photos[i], side or min(max(parts.photos[i].geometry.photo_size), LARGEST))
    lines = [(k, [(OUTLINE, 1.4)]) for k in range(parts.count) if bool(parts.groups.used[i, k])]
    picture = _outlined(parts, photo, alone, lines)
    _ranks(parts, i, picture, photo)
    return beside(picture, _legend(parts, i, picture)) if legend else picture


def part_picture(parts: PartMaps, i: int, k: int, *, side: int) -> Image.Image:
    """The photo with part k alone: lines at a half and three quarters of its own largest value."""
    if not bool(parts.groups.used[i, k]):
        return say(fit_photo(parts.photos[i], side), "empty: nothing was left")
    if parts.photos[i].values is not None:
        lie = parts.where.get(parts.layer)
        return draw_overlay(
            parts.photos[i], parts.groups.display[i, k], place=lie, sign="positive", color_bar=False, side=side,
            named="activity",
        )  # fmt: skip
    photo = fit(parts.photos[i], side)
    return _outlined(parts, photo, parts.groups.display[i], [(k, list(LEVELS))])


def _outlined(
    parts: PartMaps, photo: Photo, maps: Tensor, lines: Sequence[tuple[int, Sequence[tuple[float, float]]]]
) -> Image.Image:
    """The photo as it is, with lines of part k at levels of its own largest value, each with a width."""
    return outlined(photo, _array(maps), parts.where.get(parts.layer), palette(parts.count), lines)


def outlined(
    photo: Photo,
    maps: Float[NDArray[Any], "k h w"],
    place: Place | None,
    colors: UInt8[NDArray[np.uint8], "k 3"],
    lines: Sequence[tuple[int, Sequence[tuple[float, float]]]],
) -> Image.Image:
    """The photo as it is, with lines of map k in its color at levels of its own largest value, each with a width."""
    height, width = photo.geometry.photo_size
    pixels = np.asarray(photo.pixels / np.float32(255), np.float32)
    cell = min(height / maps.shape[-2], width / maps.shape[-1])
    unseen = np.zeros((height, width), bool)
    for k, levels in lines:
        values = ndimage.gaussian_filter(maps[k], max(height, width) / EVEN / cell, mode="nearest")
        on_photo = np.asarray(photo.geometry.map_to_photo(values / (values.max() or 1.0), place=place), np.float32)
        unseen = np.isnan(on_photo)
        for level, thick in levels:
            line = [(level, colors[k] / 255)]
            pixels = draw_contours(pixels, on_photo, line, width=thick * line_width(photo), cell=cell)
    return mark_unseen(pixels, unseen, photo)


def _ranks(parts: PartMaps, i: int, picture: Image.Image, photo: Photo) -> None:
    """A disc with its rank at each part's seed."""
    shape = (parts.groups.norm.shape[-2], parts.groups.norm.shape[-1])
    used = [k for k in range(parts.count) if bool(parts.groups.used[i, k])]
    seeds = {k: divmod(int(parts.groups.seeds[i, k]), shape[1]) for k in used}
    number_parts(picture, photo, seeds, shape, parts.where.get(parts.layer), palette(parts.count))


def number_parts(
    picture: Image.Image,
    photo: Photo,
    seeds: Mapping[int, tuple[int, int]],
    shape: tuple[int, int],
    place: Place | None,
    colors: UInt8[NDArray[np.uint8], "k 3"],
) -> None:
    """A disc with the number of each part at its position; beside the discs that are there."""
    draw, size = ImageDraw.Draw(picture), max(9.0, max(picture.size) / 26)
    there: list[tuple[float, float]] = []
    for k, at in seeds.items():
        x, y = photo.geometry.cells_to_photo(list(at), shape, place)
        x, y = (min(max(float(at), size), edge - size) for at, edge in zip((x, y), picture.size, strict=True))
        while any(math.hypot(x - u, y - v) < 1.4 * size for u, v in there) and x < picture.width - 2 * size:
            x += 1.5 * size
        there.append((x, y))
        box = (x - size * 0.75, y - size * 0.75, x + size * 0.75, y + size * 0.75)
        draw.ellipse(box, fill=tuple(colors[k].tolist()), outline=INK)
        write(draw, (x, y), str(k + 1), size, ink=INK, anchor="mm")


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
        color = NEUTRAL if j >= parts.count else (*colors[j].tolist(),)
        draw.rectangle((min(zero, end), y - step * 0.3, max(zero, end), y + step * 0.3), fill=color)
        if j < parts.count:
            draw.rectangle((0, y - size * 0.35, size * 0.7, y + size * 0.35), fill=tuple(colors[j].tolist()))
        write(draw, (size, y), shorten(name, size, left - size * 1.4), size, ink=INK, anchor="lm")
        write(draw, (side, y), typeset(number(value)), size, ink=MUTED, anchor="rm")
    draw.line((zero, top, zero, top + step * len(rows)), fill=INK)
    return picture


def part_sheet(parts: PartMaps, *, side: int = 224) -> Image.Image:
    """A row an image: photo, all parts, each alone, what no part covers, the evidence by position and by part."""
    names = [f"part {k + 1}" for k in range(parts.count)]
    first = parts.photos[0]
    shown_as = PHOTO.get(len(first.space), "photo")
    shown = "outlines at half of each part's largest value. One part: lines at 50 and 75 % of it"
    if first.values is not None:
        shown = "a curve each" if first.values.ndim == 2 else "voxels from half of each part's largest value on"
    words = (
        f"All parts: {shown}. "
        "Per cent of the evidence: of the absolute values of all parts and the remainder. "
        "Not covered: activity that is not similar to any seed."
    )
    return grid(
        [_cells(parts, i, side) for i in range(len(parts))],
        columns=(shown_as, "all parts", *names, "not covered", "evidence by position", "evidence by part"),
        rows=[_row_words(parts, i) for i in range(len(parts))],
        below=[
            ["", "", *(_share_words(parts, i, k) for k in range(parts.count)),
             f"{100 * (1 - parts.coverage(i)):.0f} % of the activity"]
            for i in range(len(parts))
        ],
        title=f"{parts.count} parts at {parts.layer} of {parts.model}",
        caption=" ".join((words, *(sentence(note, parts.layers) for note in parts.notes))),
        side=side,
    )  # fmt: skip


def _cells(parts: PartMaps, i: int, side: int) -> list[Image.Image]:
    photo, where = parts.photos[i], parts.where.get(parts.layer)
    norm, sign = parts.groups.norm[i], shared_sign([_array(parts.places)])
    rest = draw_overlay(
        photo, parts.groups.unseen[i] * norm, place=where, sign="positive", limit=float(norm.max()) or 1.0,
        color_bar=False, side=side, named="activity",
    )  # fmt: skip
    return [
        fit_photo(photo, side),
        rank_picture(parts, i, side=side, legend=False),
        *(part_picture(parts, i, k, side=side) for k in range(parts.count)),
        rest,
        draw_overlay(photo, parts.places[i], place=where, sign=sign, color_bar=False, side=side),
        evidence_bars(parts, i, side=side),
    ]


def _share_words(parts: PartMaps, i: int, k: int) -> str:
    """Of part k: "evidence 4.1 (61 %)"."""
    total = float(parts.evidence[i].abs().sum() + parts.remainder[i].abs())
    value = float(parts.evidence[i, k])
    share = f" ({100 * abs(value) / total:.0f} %)" if total > 0 else ""
    return f"evidence {typeset(number(value))}{share}"


def _row_words(parts: PartMaps, i: int) -> str:
    name = re.split(r"[\\/]", parts.photos[i].source)[-1]
    lines = [name, *parts.caption_lines(i), f"{100 * parts.coverage(i):.0f} % covered"]
    sizes = ", ".join(f"{float(size):.0f}" for size in parts.groups.sizes[i])
    return "\n".join([*lines, f"{sizes} of {parts.groups.norm[i].numel()} positions"])


def _legend(parts: PartMaps, i: int, picture: Image.Image) -> Image.Image:
    """A line a part: its color, rank, activity and evidence."""
    size = min(max(11.0, picture.height / (2.6 * parts.count + 2)), 22.0)
    strip = Image.new("RGB", (round(size * 20), picture.height), PAPER)
    draw = ImageDraw.Draw(strip)
    for k, color in enumerate(palette(parts.count)):
        y = size * (1 + 2.4 * k)
        draw.rectangle((size * 0.7, y, size * 1.7, y + size), fill=tuple(color.tolist()))
        groups = parts.groups
        if bool(groups.used[i, k]):
            what = f"activity {number(float(groups.scores[i, k]))}, {_share_words(parts, i, k)}"
        else:
            what = "empty"
        write(draw, (size * 2.3, y + size / 2), f"{k + 1}  {what}", size, ink=INK, anchor="lm")
    return strip


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().cpu().double().numpy())


def match_sheet(a: PartMaps, b: PartMaps, match: PartOrder, i: int = 0, j: int = 0, *, side: int = 176) -> Image.Image:
    """Two images' parts below one another, in the order in which they go together, with their cosines."""
    columns, top, bottom = ["photo"], [fit_photo(a.photos[i], side)], [fit_photo(b.photos[j], side)]
    for k, other in enumerate(match.order.tolist()):
        columns.append(f"{k + 1} with {other + 1}: {float(match.table[k, other]):.2f}")
        top.append(part_picture(a, i, k, side=side))
        bottom.append(part_picture(b, j, other, side=side))
    return grid(
        [top, bottom],
        columns=columns,
        rows=["\n".join(parts.caption_lines(n)) for parts, n in ((a, i), (b, j))],
        title=f"Parts at {a.layer} of {a.model}",
        caption=f"Cosines of the parts' vectors: {match}.",
        side=side,
    )

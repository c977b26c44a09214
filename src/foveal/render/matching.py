"""Two pictures and why they match: evidence on both at one scale, lines between places, the channels that carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.render.color import sequential
from foveal.render.figures import fit_photo, grid, paragraph, stacked
from foveal.render.overlay import INK, PAPER, beside, draw_bar, draw_overlay, fit
from foveal.render.scale import Sign, choose_scale, number
from foveal.render.text import shorten, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from foveal.render.drawable import ComparedImages

MUTED = (110, 110, 118)
FOR, AGAINST = (58, 110, 165), (178, 84, 62)
SHOWN = 6  # channels in a bar chart
SCALED = "Both pictures of a row share a scale; lines join the places that add most to the similarity."


def pair_picture(
    pair: ComparedImages, i: int, j: int, *, side: int = 384, lines: int | None = None, sign: Sign = "auto"
) -> Image.Image:
    """Query i and reference j side by side, their maps on one scale, their correspondences as lines.

    lines       how many; None is all there are, 0 none.
    """
    maps = [pair.query_maps[i, j], pair.reference_maps[i, j]]
    values = [map.detach().cpu().float().numpy() for map in maps]
    scale = choose_scale(np.concatenate([v.ravel() for v in values]), sign=sign)
    photos, where = [pair.queries[i], pair.references[j]], [pair.query_where, pair.reference_where]
    drawn = [
        draw_overlay(photo, map, place=place, sign=scale.sign, limit=scale.limit, color_bar=False, side=side)
        for photo, map, place in zip(photos, values, where, strict=True)
    ]
    gap, height = side // 8, max(picture.height for picture in drawn)
    whole = Image.new("RGB", (drawn[0].width + gap + drawn[1].width, height), PAPER)
    corners = [(0, (height - drawn[0].height) // 2), (drawn[0].width + gap, (height - drawn[1].height) // 2)]
    for picture, corner in zip(drawn, corners, strict=True):
        whole.paste(picture, corner)
    places = pair.places[i, j].detach().cpu().float().numpy()
    links = places[np.isfinite(places[:, 4])][: None if lines is None else lines]
    if len(links):
        ends = [
            fit(photo, side).geometry.cells_to_photo(at, map.shape, place) + np.array(corner)
            for photo, at, map, place, corner in zip(
                photos, (links[:, :2], links[:, 2:4]), values, where, corners, strict=True
            )
        ]
        whole = _lined(whole, ends[0], ends[1], links[:, 4])
    return beside(whole, draw_bar(scale, whole, np.concatenate([v.ravel() for v in values])))


def channel_picture(pair: ComparedImages, i: int, j: int, *, width: int = 300, height: int = 384) -> Image.Image:
    """The channels that add most to the similarity, and how many it takes."""
    p = pair.contributions[i, j].detach().cpu().double().numpy()
    order = np.argsort(-np.abs(p))[:SHOWN]
    size = max(10.0, height / 24)
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    shares = np.abs(p) / max(float(np.abs(p).sum()), 1e-30)
    said = f"carried by about {number(1 / max(float((shares**2).sum()), 1e-30))} of {len(p)} channels"
    write(draw, (0, 0), shorten(said, size, width), size, ink=INK)
    largest = max((abs(float(p[k])) for k in order), default=0.0) or 1.0
    left, top, step = size * 6.4, size * 2.2, size * 1.8
    room = width - left - size * 4.6
    for row, k in enumerate(order):
        y, value = top + row * step, float(p[k])
        write(draw, (0, y), f"channel {k}", size, ink=INK)
        length = room * abs(value) / largest
        draw.rectangle((left, y + 1, left + max(length, 1), y + size), fill=FOR if value >= 0 else AGAINST)
        write(draw, (left + length + size * 0.4, y), number(value), size, ink=MUTED)
    rest = f"the other {len(p) - len(order)} together: {number(float(p.sum() - p[order].sum()))}"
    write(draw, (0, top + len(order) * step), shorten(rest, size, width), size, ink=MUTED)
    return picture


def match_sheet(pair: ComparedImages, i: int = 0, *, most: int = 6, side: int = 320) -> Image.Image:
    """Query i against its references, the most similar first."""
    order = pair.ranking(i)[: max(1, most)]
    size = side / 16
    rows = []
    for rank, j in enumerate(order, 1):
        picture = pair_picture(pair, i, j, side=side)
        chart = channel_picture(pair, i, j, width=side, height=side)
        name = pair.name(pair.references[j], j, "reference")
        rows.append((f"{rank}. {name}: {pair.caption(i, j)}", _together(picture, chart)))
    width = max(row.width for _, row in rows)
    left = len(pair.references) - len(order)
    said = [f"{left} less similar references are not shown."] if left else []
    caption = " ".join([*said, SCALED, *(f"{note}." for note in pair.notes)])
    title = (
        f"Why does {pair.name(pair.queries[i], i, 'query')} match? {pair.model}, {pair.weights} weights at {pair.layer}"
    )
    strips = [paragraph(title, width, size * 1.3, INK)]
    for heading, row in rows:
        strips += [paragraph(heading, width, size, INK), row]
    return stacked(
        [*strips, paragraph(caption, width, size * 0.85, MUTED)], edge=round(size * 1.5), gap=round(size * 0.6)
    )


def rank_strip(
    pair: ComparedImages, i: int, order: Sequence[int], *, headings: Sequence[str] = (), side: int = 224
) -> Image.Image:
    """References from left to right: below, the evidence on each; above, that on query i for it. All on one scale."""
    maps = [of[i, j].detach().cpu().float().numpy() for of in (pair.query_maps, pair.reference_maps) for j in order]
    scale = choose_scale(np.concatenate([map.ravel() for map in maps]))
    photos = [*[pair.queries[i]] * len(order), *(pair.references[j] for j in order)]
    where = [pair.query_where] * len(order) + [pair.reference_where] * len(order)
    drawn = [
        draw_overlay(photo, map, place=place, sign=scale.sign, limit=scale.limit, color_bar=False, side=side)
        for photo, map, place in zip(photos, maps, where, strict=True)
    ]
    columns = [f"{headings[k] if headings else k + 1}: {pair.caption(i, j)}" for k, j in enumerate(order)]
    names = [pair.name(pair.references[j], j, "reference") for j in order]
    return grid(
        [[fit_photo(pair.queries[i], side), *drawn[: len(order)]], [None, *drawn[len(order) :]]],
        columns=["query", *columns],
        rows=[pair.name(pair.queries[i], i, "query"), "\n".join(["references", *names])],
        title=f"{pair.weights} weights of {pair.model} at {pair.layer}",
        caption=" ".join(["All maps share a scale.", *(f"{note}." for note in pair.notes)]),
        side=side,
    )


def _together(left: Image.Image, right: Image.Image) -> Image.Image:
    gap, height = left.height // 16, max(left.height, right.height)
    whole = Image.new("RGB", (left.width + gap + right.width, height), PAPER)
    whole.paste(left, (0, (height - left.height) // 2))
    whole.paste(right, (left.width + gap, (height - right.height) // 2))
    return whole


def _lined(
    picture: Image.Image, a: NDArray[np.floating], b: NDArray[np.floating], worth: NDArray[np.floating]
) -> Image.Image:
    """Lines, the strongest on top, drawn at twice the size so that they come out smooth."""
    twice = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(twice)
    table = sequential()
    for k in reversed(range(len(worth))):
        strength = float(worth[k] / worth.max())
        color = tuple(int(c) for c in table[int(95 + 150 * strength)])
        ends = [(2 * float(x), 2 * float(y)) for x, y in (a[k], b[k])]
        draw.line(ends, fill=PAPER, width=round(4 + 5 * strength))
        draw.line(ends, fill=color, width=round(2 + 4 * strength))
        for x, y in ends:
            draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=color, outline=PAPER, width=3)
    return twice.resize(picture.size, Image.Resampling.LANCZOS)

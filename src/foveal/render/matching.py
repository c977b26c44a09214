"""Two images and why they match: evidence on both, each on a scale of its own, and lines between positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.render.color import sequential
from foveal.render.figures import MUTED, fit_photo, paragraph, sentence, stacked
from foveal.render.overlay import INK, PAPER, draw_overlay, fit
from foveal.render.scale import Sign, choose_scale, number
from foveal.render.tile_grid import GridTile, cut_middle, map_tile, tile_grid, type_size, values_of, with_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from foveal.images import Photo, Place
    from foveal.render.drawable import ComparedImages

FRAME = 4  # pixels
FRAMES = {"right": (23, 105, 74), "wrong": (155, 44, 44)}
HALF = 0.5  # of the evidence, whose area is told
OWN_SCALES = "Each map has its own scale: how many per cent of the map's total absolute evidence a position holds."
SHARE = "% of its evidence"
LINES = "Lines join the pairs of positions that add most to the similarity."


def pair_picture(
    pair: ComparedImages, i: int, j: int, *, side: int = 384, lines: int | None = None, sign: Sign = "auto"
) -> Image.Image:
    """Query i and reference j side by side, each map on its own scale, their correspondences as lines.

    lines       how many; None is all there are, 0 none.
    """
    photos, where = [pair.queries[i], pair.references[j]], [pair.query_where, pair.reference_where]
    values = [shares(values_of(map)) for map in (pair.query_maps[i, j], pair.reference_maps[i, j])]
    sign = common_sign(values) if sign == "auto" else sign
    drawn = [_bare(photo, map, place, side, sign) for photo, map, place in zip(photos, values, where, strict=True)]
    gap, height = side // 8, max(picture.height for picture in drawn)
    whole = Image.new("RGB", (2 * side + gap, height), PAPER)
    corners = [
        (k * (side + gap) + (side - picture.width) // 2, (height - picture.height) // 2)
        for k, picture in enumerate(drawn)
    ]
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
    bars = [
        with_bar(Image.new("RGB", (side, 1), PAPER), choose_scale(map, sign=sign), map, SHARE, side) for map in values
    ]
    full = Image.new("RGB", (whole.width, whole.height + bars[0].height), PAPER)
    full.paste(whole, (0, 0))
    for k, bar in enumerate(bars):
        full.paste(bar, (k * (side + gap), whole.height))
    return full


def match_sheet(pair: ComparedImages, i: int = 0, *, most: int = 6, side: int = 320) -> Image.Image:
    """Query i against its references, the most similar first: the pair with its lines, and beside it what it says."""
    order = pair.ranking(i)[: max(1, most)]
    size, query = type_size(side), pair.name(pair.queries[i], i, "query")
    sign = common_sign([values_of(maps[i, j]) for maps in (pair.query_maps, pair.reference_maps) for j in order])
    rows = []
    for j in order:
        picture = pair_picture(pair, i, j, side=side, sign=sign)
        words = _words(pair, i, j, width=round(side * 0.95), size=size)
        gap = side // 12
        whole = Image.new("RGB", (picture.width + gap + words.width, max(picture.height, words.height)), PAPER)
        whole.paste(picture, (0, 0))
        whole.paste(words, (picture.width + gap, 0))
        rows.append(whole)
    width = rows[0].width
    left = len(pair.references) - len(order)
    said = [f"{left} less similar references are not shown."] if left else []
    caption = " ".join([*said, OWN_SCALES, LINES, *map(sentence, pair.notes)])
    known = f" ({pair.query_labels[i]})" if pair.query_labels else ""
    title = f"Why does {query}{known} match? {pair.model}, FAM with {pair.weights} weights at {pair.layer}"
    strips = [
        paragraph(title, width, size * 1.3, INK), *rows, paragraph(caption, width, size * 0.85, MUTED)
    ]  # fmt: skip
    return stacked(strips, edge=round(size * 1.5), gap=round(size * 0.9))


def rank_strip(
    pair: ComparedImages, i: int, order: Sequence[int], *, headings: Sequence[str] = (), side: int = 224,
    one_scale: bool = False,
) -> Image.Image:  # fmt: skip
    """References from left to right: the photo, the evidence on query i for it, and that on it.

    Args:
        order: the numbers of the references.
        headings: of the columns; their ranks if left out.
        one_scale: a scale for each row of maps in place of one for each map; both raw.
    """
    ours = [values_of(pair.query_maps[i, j]) for j in order]
    theirs = [values_of(pair.reference_maps[i, j]) for j in order]
    if not one_scale:
        ours, theirs = [shares(map) for map in ours], [shares(map) for map in theirs]
    who = f": {pair.query_labels[i]}" if pair.query_labels else ""
    photos = [GridTile(fit_photo(pair.queries[i], side), f"query{who}", pair.name(pair.queries[i], i, "query"))]
    photos += [_ranked(pair, i, j, headings[k] if headings else str(pair.rank(i, j)), side)
               for k, j in enumerate(order)]  # fmt: skip
    sign = common_sign([*ours, *theirs])
    shown = [pair.references[j] for j in order]
    on_query = _evidence([pair.queries[i]] * len(order), ours, pair.query_where, "on the query", side, sign, one_scale)
    on_references = _evidence(shown, theirs, pair.reference_where, "on the reference", side, sign, one_scale)
    scales = "The maps of a row share a scale, in raw evidence." if one_scale else OWN_SCALES
    return tile_grid(
        [photos, [GridTile(), *on_query], [GridTile(), *on_references]],
        side=side,
        title=f"{pair.model}: FAM with {pair.weights} weights at {pair.layer}",
        caption=" ".join([scales, *map(sentence, pair.notes)]),
    )


def shares(map: NDArray[np.floating]) -> NDArray[np.floating]:
    """The map in per cent of its evidence: absolute values sum to 100."""
    whole = float(np.abs(map[np.isfinite(map)]).sum())
    return map * np.float32(100 / whole) if whole > 0 else map


def common_sign(maps: Sequence[NDArray[np.floating]]) -> Sign:
    """One table of colors for all of them: signed where any has negative evidence that counts."""
    return "signed" if any(choose_scale(map).sign == "signed" for map in maps) else "positive"


def area_of_half(map: NDArray[np.floating]) -> float:
    """The smallest share of positions, 0 to 1, that holds half of the absolute evidence; NaN where there is none."""
    sizes = np.sort(np.abs(map[np.isfinite(map)]).ravel())[::-1].astype(np.float64)
    if not sizes.sum() > 0:
        return float("nan")
    return float(np.searchsorted(sizes.cumsum(), HALF * sizes.sum()) + 1) / map.size


def _ranked(pair: ComparedImages, i: int, j: int, rank: str, side: int) -> GridTile:
    """The photo of a reference under its rank; with labels in a frame, green or red, and the word for it."""
    photo, name = fit_photo(pair.references[j], side), pair.name(pair.references[j], j, "reference")
    verdict = pair.verdict(i, j)
    if not verdict:
        return GridTile(photo, f"{rank}: {pair.caption(i, j)}", name)
    ImageDraw.Draw(photo).rectangle((0, 0, photo.width - 1, photo.height - 1), outline=FRAMES[verdict], width=FRAME)
    return GridTile(photo, f"{rank}, {verdict}: {pair.reference_labels[j]}", f"{pair.caption(i, j)}  {name}")


def _evidence(
    photos: Sequence[Photo], maps: Sequence[NDArray[np.floating]], place: Place | None, where: str, side: int,
    sign: Sign, one_scale: bool,
) -> list[GridTile]:  # fmt: skip
    whole = np.concatenate([map.ravel() for map in maps])
    scales = [choose_scale(whole if one_scale else map, sign=sign) for map in maps]
    unit = "evidence" if one_scale else SHARE
    return [
        GridTile(map_tile(photo, map, place, side=side, unit=unit, scale=scale), f"evidence {where}")
        for photo, map, scale in zip(photos, maps, scales, strict=True)
    ]


def _bare(photo: Photo, map: NDArray[np.floating], place: Place | None, side: int, sign: Sign) -> Image.Image:
    scale = choose_scale(map, sign=sign)
    return draw_overlay(photo, map, place=place, sign=scale.sign, limit=scale.limit, color_bar=False, side=side)


def _words(pair: ComparedImages, i: int, j: int, *, width: int, size: float) -> Image.Image:
    """What the pair says, for whoever reads no colors."""
    name = pair.name(pair.references[j], j, "reference")
    halves = [area_of_half(values_of(map)) for map in (pair.query_maps[i, j], pair.reference_maps[i, j])]
    said = f"{pair.verdict(i, j)}: {pair.reference_labels[j]}" if pair.verdict(i, j) else ""
    lines = [cut_middle(line, size, width) for line in (f"{pair.rank(i, j)}. {name}", said, pair.caption(i, j)) if line]
    told = []
    if all(np.isfinite(halves)):
        told.append(
            f"Half of the evidence lies on {_percent(halves[0])} of the query and {_percent(halves[1])} of the "
            "reference."
        )
    values = pair.places[i, j, :, 4]
    linked = values[values.isfinite()]
    if len(linked) and not pair.distance and float(pair.value(i, j)) > 0:
        share = float(linked.sum()) / pair.value(i, j)
        several = f"{len(linked)} lines hold" if len(linked) > 1 else "line holds"
        told.append(f"The {several} {_percent(share)} of the similarity.")
    told.append(
        f"{pair.channels(i, j).capitalize()}; the largest adds {number(100 * float(pair.shares(i, j).abs().max()))} %."
    )
    strips = [
        paragraph(line, width, size * (1.1 if k == 0 else 1.0), INK) for k, line in enumerate(lines)
    ] + [paragraph(line, width, size * 0.9, MUTED) for line in told]  # fmt: skip
    return stacked(strips, edge=0, gap=round(size * 0.5))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


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

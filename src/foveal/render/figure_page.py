"""A figure for a paper: one row per photo, with its overlays beside it, a color bar for each, and a caption."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from foveal.render.contours import LEVELS
from foveal.render.drawing import scale_of
from foveal.render.figure_notes import figure_notes
from foveal.render.figures import LINE, MUTED, fit_photo
from foveal.render.outline import outline_of
from foveal.render.overlay import INK, draw_overlay
from foveal.render.page_layout import Page
from foveal.render.scale import choose_scale, nothing_to_show, number, shared_sign, ticks, typeset
from foveal.render.text import length, shorten_middle, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.render.drawable import Maps
    from foveal.render.drawing import Drawing
    from foveal.render.page_layout import Point
    from foveal.render.scale import Scale

Row: TypeAlias = "tuple[Sequence[Maps], int]"
ORANGE_AND_BLUE = "Orange is evidence for the target, blue is evidence against it."
ABOVE_AND_BELOW = "Values above 0 are evidence for the target, values below 0 are evidence against it."
LIMITS = {
    "image": "Each overlay has its own color scale.",
    "robust": "Each overlay has its own color scale (98th percentile).",
    "batch": "All overlays of a column share one color scale.",
}


@dataclass(frozen=True)
class FigurePanel:
    """One overlay of the figure."""

    image: Image.Image
    scale: Scale
    labels: list[tuple[float, str]]
    alt: str


@dataclass(frozen=True)
class Measures:
    """Lengths in pixels; all follow from the side of an image."""

    side: int

    @property
    def size(self) -> float:
        """Of the type."""
        return max(9.0, self.side / 16)

    @property
    def gap(self) -> int:
        return max(4, self.side // 24)

    @property
    def left(self) -> int:
        """Room for the words of a row."""
        return round(self.side * 0.75)


def figure_page(
    rows: Sequence[Row], *, layers: Sequence[str] | None = None, side: int, drawing: Drawing, finer: float = 1,
    title: str | None = None,
) -> Page:  # fmt: skip
    """One row per image; a column for the photo, and one for each method and layer, with its color bar.

    All overlays have colors of one meaning: if any needs both signs, all show both.

    rows        of each, the explanations by several methods, and which of their images it is.
    layers      of each explanation; None is all that it has.
    finer       pixels of each image for one on the page: more of them for vectors.
    title       above it; the model's name if left out, nothing if empty.
    """
    maps = [[(why, layer) for why in whys for layer in layers or why.layers] for whys, _ in rows]
    sign = shared_sign((_array(why, layer) for row in maps for why, layer in row), drawing.sign)
    drawing, at, fine = replace(drawing, sign=sign), Measures(side), round(side * finer)
    shared = _column_scales(maps, drawing)
    cells = [
        [_panel(why, i, layer, drawing, shared.get(k), fine) for k, (why, layer) in enumerate(row)]
        for row, (_, i) in zip(maps, rows, strict=True)
    ]
    photos = [fit_photo(whys[0].photos[i], fine) for whys, i in rows]
    words = [_row_words(whys[0], i, at) for whys, i in rows]
    bar = _bar_width([panel for row in cells for panel in row], at)
    headings = max(maps, key=len)
    starts = [at.left + side + at.gap + k * (side + bar + at.gap) for k in range(len(headings))]
    width = starts[-1] + side + bar
    head = wrap(title_of(rows, title), at.size * 1.2, width) if title_of(rows, title) else []
    heights = [
        round(max(len(said) * at.size * LINE, *(image.height / finer for image in _images(photo, row))))
        for said, photo, row in zip(words, photos, cells, strict=True)
    ]
    caption = [*_colors_and_lines(rows, maps, drawing), *figure_notes(rows, [layer for _, layer in headings])]
    foot = wrap(" ".join(caption), at.size * 0.85, width)
    edge = max(6, side // 16)
    top = edge + len(head) * at.size * 1.2 * LINE + at.size * 0.4
    under = top + 2 * at.size * LINE + at.size * 0.3
    below = under + sum(heights) + at.gap * len(heights)
    page = Page(round(width + 2 * edge), math.ceil(below + len(foot) * at.size * 0.85 * LINE + edge))
    _lines(page, (edge, edge), head, at.size * 1.2, INK)
    _heading(page, (edge + at.left, top), (_kind(rows), ""), at)
    for x, (why, layer) in zip(starts, headings, strict=True):
        _heading(page, (edge + x, top), (why.method, layer), at)
    y = under
    for said, photo, row, height in zip(words, photos, cells, heights, strict=True):
        for k, (line, ink) in enumerate(said):
            page.text((edge, y + k * at.size * LINE), line, at.size, ink=ink, anchor="la")
        page.place((edge + at.left, y), photo, size=_shown(photo, finer), alt=said[0][0])
        for x, panel in zip(starts, row, strict=False):
            shown = _shown(panel.image, finer)
            page.place((edge + x, y), panel.image, size=shown, alt=panel.alt)
            if panel.labels:
                _bar(page, (edge + x + shown[0] + at.size * 0.4, y), shown[1], panel, at, contour=drawing.contour)
        y += height + at.gap
    _lines(page, (edge, below), foot, at.size * 0.85, MUTED)
    return page


def _kind(rows: Sequence[Row]) -> str:
    """What stands above the first column."""
    kinds = {len(whys[0].photos[i].space) for whys, i in rows}
    return {1: "signal", 2: "photo", 3: "volume"}[kinds.pop()] if len(kinds) == 1 else "input"


def title_of(rows: Sequence[Row], title: str | None) -> str:
    """What stands above the figure: the model's name, where nothing else is asked for."""
    return rows[0][0][0].model if title is None else title


def _column_scales(maps: Sequence[Sequence[tuple[Maps, str]]], drawing: Drawing) -> dict[int, Scale]:
    """The scale of each column whose overlays share one, which the rule "batch" asks for."""
    if drawing.scale != "batch":
        return {}
    columns: dict[int, list[np.ndarray[Any, Any]]] = {}
    for row in maps:
        for k, (why, layer) in enumerate(row):
            columns.setdefault(k, []).append(_array(why, layer).ravel())
    return {
        k: choose_scale(np.concatenate(values), sign=drawing.sign, colors=drawing.colors)
        for k, values in columns.items()
    }


def _panel(why: Maps, i: int, layer: str, drawing: Drawing, shared: Scale | None, side: int) -> FigurePanel:
    scale = shared or scale_of(why.maps[layer], i, drawing, robust=True)
    values = why.maps[layer][i].detach().cpu().float().numpy()
    image = draw_overlay(
        why.photos[i], values, place=why.where.get(layer), sign=scale.sign, limit=scale.limit, alpha=drawing.alpha,
        colors=drawing.colors, contour=drawing.contour, color_bar=False, side=side,
        outline=outline_of(why.target_spec, i),
    )  # fmt: skip
    labels = [] if nothing_to_show(values, scale) else [(at, typeset(text)) for at, text in ticks(scale, values)]
    return FigurePanel(image, scale, labels, f"{why.method} at {layer}, {why.summary(i)}")


def _bar(page: Page, at: Point, height: int, panel: FigurePanel, by: Measures, *, contour: bool) -> None:
    """The colors from bottom to top, with their raw values; across it, where the contour lines are."""
    (x, y), thick = at, round(by.size * 0.7)
    margin = min(by.size * 0.6, height / 6)
    long = max(2, round(height - 2 * margin))
    column = np.repeat(panel.scale.table[::-1, None], thick, axis=1)
    y0 = round(y + margin)
    page.place((x, y0), Image.fromarray(column), size=(thick, long))
    x = round(x)
    for place, label in panel.labels:
        tick = y0 + (1 - place) * (long - 1)
        page.line((x + thick, tick), (x + thick + by.size * 0.2, tick), INK, max(0.5, by.size / 20))
        page.text((x + thick + by.size * 0.5, tick), label, by.size * 0.85, ink=INK, anchor="lm")
    if contour:
        low, high = panel.scale.ends
        for level in (sign * level * panel.scale.limit for level in LEVELS for sign in (1, -1)):
            place = (level - low) / (high - low)
            if 0 <= place <= 1:
                tick = y0 + (1 - place) * (long - 1)
                page.line((x, tick), (x + thick, tick), (255, 255, 255), max(1.0, by.size / 10))


def _bar_width(panels: Sequence[FigurePanel], at: Measures) -> int:
    widest = max((length(label, at.size * 0.85) for panel in panels for _, label in panel.labels), default=0)
    return round(at.size * (0.4 + 0.7 + 0.5 + 0.3) + widest)


def _row_words(why: Maps, i: int, at: Measures) -> list[tuple[str, tuple[int, int, int]]]:
    """The file's name in black, then what was explained in gray."""
    name = shorten_middle(re.split(r"[\\/]", why.photos[i].source)[-1], at.size, at.left - at.gap)
    lines = [line for words in why.caption_lines(i) for line in wrap(words, at.size, at.left - at.gap)]
    return [(name, INK), *((line, MUTED) for line in lines)]


def _heading(page: Page, at: Point, words: tuple[str, str], by: Measures) -> None:
    """Two lines: the method, and the layer in gray."""
    for k, (text, ink) in enumerate(zip(words, (INK, MUTED), strict=True)):
        if text:
            shown = shorten_middle(text, by.size, by.side)
            page.text((at[0], at[1] + k * by.size * LINE), shown, by.size, ink=ink, anchor="la")


def _colors_and_lines(rows: Sequence[Row], maps: Sequence[Sequence[tuple[Maps, str]]], drawing: Drawing) -> list[str]:
    """What the colors and lines mean."""
    rule = "robust" if drawing.scale == "auto" else drawing.scale
    said = [LIMITS[rule]] if isinstance(rule, str) else [_ends_at(rule, rows, maps)]
    if drawing.sign == "signed":
        said.append(ORANGE_AND_BLUE if drawing.colors is None else ABOVE_AND_BELOW)
    if drawing.contour:
        said.append("Lines lie at 25, 50 and 75 % of the scale.")
    if any(_is_cropped(whys[0], i) for whys, i in rows):
        said.append("Hatched areas were not seen by the network.")
    return said


def _ends_at(limit: float, rows: Sequence[Row], maps: Sequence[Sequence[tuple[Maps, str]]]) -> str:
    """A scale that somebody chose, and the largest value, which shows whether it fits."""
    shown = [_array(why, layer)[i] for row, (_, i) in zip(maps, rows, strict=True) for why, layer in row]
    largest = max(float(np.abs(values[np.isfinite(values)]).max(initial=0)) for values in shown)
    return f"All color scales end at {limit:g}; the largest value, with either sign, is {number(largest)}."


def _is_cropped(why: Maps, i: int) -> bool:
    height, width = why.photos[i].geometry.photo_size
    return tuple(round(edge) for edge in why.photos[i].geometry.seen) != (0, 0, width, height)


def _lines(page: Page, at: Point, lines: Sequence[str], size: float, ink: tuple[int, int, int]) -> None:
    for k, line in enumerate(lines):
        page.text((at[0], at[1] + k * size * LINE), line, size, ink=ink, anchor="la")


def _images(photo: Image.Image, row: Sequence[FigurePanel]) -> list[Image.Image]:
    return [photo, *(panel.image for panel in row)]


def _shown(image: Image.Image, finer: float) -> tuple[int, int]:
    return max(1, round(image.width / finer)), max(1, round(image.height / finer))


def _array(why: Maps, layer: str) -> np.ndarray[tuple[int, ...], np.dtype[np.floating]]:
    return np.asarray(why.maps[layer].detach().cpu().float().numpy())

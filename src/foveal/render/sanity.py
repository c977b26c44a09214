"""Curves of forgetting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from foveal.render.figures import MUTED, paragraph, stacked
from foveal.render.flow import curve_picture
from foveal.render.overlay import INK, PAPER
from foveal.render.text import shorten, write

if TYPE_CHECKING:
    from foveal.render.drawable import ForgettingCurves

COLORS = ((58, 110, 165), (178, 84, 62), (96, 140, 84), (140, 96, 160), (120, 120, 126), (190, 150, 50))


def curves(result: ForgettingCurves, how: str, *, width: int) -> Image.Image:
    """A line a method, from the whole network on the left to one that forgot everything."""
    size, names = max(11, width // 70), ["trained", *result.layers, "null"]
    left = size * 20
    x = [left + (width - left - size * 6) * k / (len(names) - 1) for k in range(len(names))]
    lines = [
        (name, COLORS[k % len(COLORS)], [1.0, *(step[how] for step in check.curve), check.null[how]])
        for k, (name, check) in enumerate(result.checked.items())
    ]
    chart = curve_picture(
        lines, x, width=width, height=max(width // 3, round(size * (3 + 1.8 * len(lines)))), size=size
    )
    feet = Image.new("RGB", (width, round(size * 1.6)), PAPER)
    room = (x[1] - x[0]) * 0.95
    for at, name in zip(x, names, strict=True):
        write(ImageDraw.Draw(feet), (at, 0), shorten(name, size * 0.8, room), size * 0.8, ink=MUTED, anchor="ma")
    order = "on top of those before" if result.cascading else "alone"
    words = (
        f"How alike the map still is ({how}) when layers are made random, from the last to the first, each {order}; "
        "“null” is how alike the maps of two random networks are."
    )
    title = paragraph(f"Does the explanation know the network? {result.model}", width, size * 1.3, INK)
    return stacked([title, chart, feet, paragraph(words, width, size, MUTED)], edge=size, gap=size // 2)

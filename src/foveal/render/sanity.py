"""Curves of forgetting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from foveal.render.curves import NamedCurve, curve_picture
from foveal.render.figures import MUTED, paragraph, stacked
from foveal.render.overlay import INK, PAPER
from foveal.render.text import length, shorten, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.render.drawable import ForgettingCurves

COLORS = ((58, 110, 165), (178, 84, 62), (96, 140, 84), (140, 96, 160), (120, 120, 126), (190, 150, 50))


NAMES = {"spearman": "Spearman's r", "absolute": "Spearman's r of absolute values", "ssim": "SSIM", "hog": "r of HOG"}


def curves(result: ForgettingCurves, how: str, *, width: int) -> Image.Image:
    """A line a method, from the trained network on the left to one with random weights; two random networks apart."""
    size, names = max(11, width // 70), ["trained", *result.layers]
    left = size * 20
    width = max(width, left + size * (8 + 2 * len(names)))
    step = (width - left - size * 8) / len(names)
    x = [left + step * k for k in range(len(names))]
    x.append(x[-1] + max(step, size * 4))
    lines = [
        NamedCurve(name, COLORS[k % len(COLORS)], [1.0, *(step[how] for step in check.curve)], [check.null[how]])
        for k, (name, check) in enumerate(result.checked.items())
    ]
    levels = (-1.0, -0.5, 0.0, 0.5, 1.0) if how != "hog" and _negative(lines) else (0.0, 0.5, 1.0)
    chart = curve_picture(
        lines, x, width=width, height=width // 3, size=size, levels=levels, label=_number, axis=NAMES[how]
    )
    feet = Image.new("RGB", (width, round(size * 3)), PAPER)
    draw, every = ImageDraw.Draw(feet), math.ceil(size * 4 / step)
    for k, (at, name) in enumerate(zip(x, names, strict=False)):
        if k % every == 0 or k == len(names) - 1:
            for row, line in enumerate(_cut(name, size * 0.8, step * every * 0.95)):
                write(draw, (at, row * size * 1.1), line, size * 0.8, ink=MUTED, anchor="ma")
    for row, line in enumerate(("2 random", "networks")):
        write(draw, (x[-1], row * size * 1.1), line, size * 0.8, ink=MUTED, anchor="ma")
    order = "in addition to the later ones" if result.cascading else "alone"
    words = (
        f"Similarity ({NAMES[how]}, 1 = same map) to the map of the trained network, while layers get random weights "
        f"from the last to the first, each {order}. Diamonds: similarity of the maps of two random networks, which is "
        "the level of chance. A map that depends on the weights drops to this level."
    )
    title = paragraph(f"Sanity check: does the map depend on the weights? {result.model}", width, size * 1.3, INK)
    return stacked([title, chart, feet, paragraph(words, width, size, MUTED)], edge=size, gap=size // 2)


def _negative(lines: Sequence[NamedCurve]) -> bool:
    return any(value < 0 for line in lines for value in (*line.values, *line.marks))


def _number(value: float) -> str:
    return f"{value:.2g}".replace("-", "−")


def _cut(name: str, size: float, room: float) -> list[str]:
    """A layer's name in up to two lines, broken at a dot: "layer4.1" and ".conv2"."""
    if length(name, size) <= room:
        return [name]
    parts = name.split(".")
    first = next((k for k in range(len(parts) - 1, 0, -1) if length(".".join(parts[:k]), size) <= room), 1)
    lines = [".".join(parts[:first]), "." + ".".join(parts[first:])] if len(parts) > 1 else [name]
    return [shorten(line, size, room) for line in lines]

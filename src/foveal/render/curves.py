"""Values as curves over columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from foveal.render.figures import MUTED
from foveal.render.overlay import INK, PAPER
from foveal.render.text import length, wrap, write

RULE = (206, 206, 212)
ROW = 1.35  # of a name's lines, in sizes of the type


@dataclass(frozen=True)
class NamedCurve:
    """A value a column, NaN where it is not known; `marks` are further columns, with a diamond and no line to it."""

    name: str
    color: tuple[int, int, int]
    values: Sequence[float]
    marks: Sequence[float] = ()


def percent(value: float) -> str:
    """ "−12 %"."""
    return f"{100 * value:.0f} %".replace("-", "−")


def curve_picture(
    curves: Sequence[NamedCurve], x: Sequence[float], *, width: int, height: int, size: float,
    levels: Sequence[float] = (0.0, 1.0), label: Callable[[float], str] = percent, axis: str = "",
) -> Image.Image:  # fmt: skip
    """Curves with a point at each of the columns `x`, their names to the left.

    Args:
        curves: with as many values and marks as there are columns.
        x: of the columns, in pixels.
        width: of the image.
        height: of the image; it grows where the names need more.
        size: of the type.
        levels: that have a line and a number; the lowest and highest value are added where they lie beyond.
        label: how a level is written.
        axis: what the values are, written above the names.
    """
    first, last = x[0] - size * 3, x[-1] + size * 3
    room = first - size * 8
    names = [wrap(curve.name, size, room) for curve in curves]
    rows = 2 + sum(len(lines) + 0.4 for lines in names) + (1.6 if axis else 0)
    picture = Image.new("RGB", (width, max(height, round(rows * ROW * size))), PAPER)
    draw = ImageDraw.Draw(picture)
    values = [v for curve in curves for v in (*curve.values, *curve.marks) if np.isfinite(v)]
    low, high = min(*levels, *values), max(*levels, *values)
    top, bottom = size, picture.height - size

    def y(value: float) -> float:
        return float(bottom - (value - low) / (high - low) * (bottom - top))

    for level in sorted({low, *levels, high}):
        if level not in levels and any(abs(y(level) - y(other)) < 1.2 * size for other in levels):
            continue  # its number would lie on that one
        draw.line((first, y(level), last, y(level)), fill=RULE)
        write(draw, (first - size * 0.5, y(level)), label(level), size, ink=MUTED, anchor="rm")
    at = top
    if axis:
        write(draw, (size * 1.5, at), axis, size, ink=MUTED)
        at += size * ROW * 1.6
    for curve, lines in zip(curves, names, strict=True):
        _line(draw, curve, x, y, size)
        middle = at + size * 0.6
        draw.line((size * 1.5, middle, size * 3, middle), fill=curve.color, width=max(2, round(size / 5)))
        for line in lines:
            write(draw, (size * 3.5, at), line, size, ink=INK)
            at += size * ROW
        at += size * ROW * 0.4
    return picture


def _line(
    draw: ImageDraw.ImageDraw, curve: NamedCurve, x: Sequence[float], y: Callable[[float], float], size: float
) -> None:
    points = [(float(a), y(v)) for a, v in zip(x, curve.values, strict=False) if np.isfinite(v)]
    if len(points) > 1:
        draw.line(points, fill=curve.color, width=max(2, round(size / 5)), joint="curve")
    for a, b in points:
        draw.ellipse((a - size / 3, b - size / 3, a + size / 3, b + size / 3), fill=curve.color, outline=PAPER)
    for a, v in zip(x[len(curve.values) :], curve.marks, strict=True):
        if np.isfinite(v):
            b, r = y(v), size * 0.5
            draw.polygon(((a, b - r), (a + r, b), (a, b + r), (a - r, b)), fill=curve.color, outline=PAPER)


def ramp(width: int, size: float, ends: tuple[str, str], title: str) -> Image.Image:
    """Black to white, with what black and white stand for, and a title above."""
    lines = wrap(title, size, width)
    tall = round(size * 1.2)
    picture = Image.new("RGB", (width, round((len(lines) + 1) * size * 1.4 + tall + size)), PAPER)
    draw = ImageDraw.Draw(picture)
    for k, line in enumerate(lines):
        write(draw, (0, k * size * 1.4), line, size, ink=MUTED)
    top = round(len(lines) * size * 1.4 + size * 0.3)
    shades = np.linspace(0, 255, width - 2).round().astype(np.uint8)[None].repeat(tall, axis=0)
    draw.rectangle((0, top, width - 1, top + tall + 1), outline=RULE)
    picture.paste(Image.fromarray(shades), (1, top + 1))
    under = top + tall + size * 0.4
    write(draw, (0, under), ends[0], size, ink=MUTED)
    write(draw, (width - length(ends[1], size), under), ends[1], size, ink=MUTED)
    return picture

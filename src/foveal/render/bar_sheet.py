"""Numbers with their spread as bars on one sheet, in blocks with a heading each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from foveal.render.figures import MUTED, paragraph, stacked
from foveal.render.overlay import INK, PAPER
from foveal.render.text import shorten, write

FOR, AGAINST = (58, 110, 165), (178, 84, 62)


@dataclass(frozen=True)
class SpreadBar:
    """A number, half of its interval (0 for none), and how it is said."""

    label: str
    value: float
    half: float
    text: str


@dataclass(frozen=True)
class BarBlock:
    """Bars on one scale, which begins or ends at zero or lies around it."""

    heading: str
    bars: Sequence[SpreadBar]


def bar_sheet(title: str, blocks: Sequence[BarBlock], caption: str = "", *, width: int = 720) -> Image.Image:
    """The blocks below one another; bars of numbers that are undefined are left out."""
    size = max(11.0, width / 52)
    strips = [paragraph(title, width, size * 1.3, INK)]
    for block in blocks:
        strips += [paragraph(block.heading, width, size, INK), _block(block, width, size)]
    strips.append(paragraph(caption, width, size * 0.85, MUTED))
    return stacked([strip for strip in strips if strip.height], edge=round(size * 1.5), gap=round(size * 0.6))


def _block(block: BarBlock, width: int, size: float) -> Image.Image:
    step = size * 1.7
    strip = Image.new("RGB", (width, max(1, round(step * len(block.bars)))), PAPER)
    draw = ImageDraw.Draw(strip)
    ends = [end for bar in block.bars for end in (bar.value - _known(bar.half), bar.value + _known(bar.half))]
    ends = [end for end in ends if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    left, right = width * 0.3, width * 0.76
    unit = (right - left) / (high - low) if high > low else 0.0

    def x(value: float) -> float:
        return left + (value - low) * unit

    for row, bar in enumerate(block.bars):
        y = (row + 0.5) * step
        write(draw, (0, y), shorten(bar.label, size, left - size), size, ink=INK, anchor="lm")
        write(draw, (right + size, y), shorten(bar.text, size, width - right - size), size, ink=MUTED, anchor="lm")
        if math.isfinite(bar.value):
            start, stop = sorted((x(0.0), x(bar.value)))
            fill = FOR if bar.value >= 0 else AGAINST
            draw.rectangle((start, y - step * 0.3, max(stop, start + 1), y + step * 0.3), fill=fill)
            if _known(bar.half):
                draw.line((x(bar.value - bar.half), y, x(bar.value + bar.half), y), fill=INK, width=2)
    draw.line((x(0.0), 0, x(0.0), strip.height), fill=INK)
    return strip


def _known(half: float) -> float:
    return half if math.isfinite(half) else 0.0

"""How numbers are distributed: a column for each of some ranges of equal width, with the ends in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.render.bar_sheet import FOR
from foveal.render.figures import MUTED, paragraph, stacked
from foveal.render.overlay import INK, PAPER
from foveal.render.text import write
from foveal.render.tile_grid import signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

BINS = 40


def histogram_sheet(title: str, columns: Mapping[str, NDArray[np.floating]], *, width: int = 720) -> Image.Image:
    """The distributions below one another; values that are undefined or infinite are counted in words."""
    size = max(11.0, width / 52)
    strips = [paragraph(title, width, size * 1.3, INK)]
    for name, values in columns.items():
        known = values[np.isfinite(values)].astype(np.float64)
        left = len(values) - len(known)
        middle = f", median {signed(float(np.median(known)))}" if len(known) else ""
        missing = f", {left} undefined" if left else ""
        strips.append(paragraph(f"{name}: {len(known)} values{middle}{missing}", width, size, INK))
        if len(known):
            strips.append(_columns(known, width, size))
    return stacked([strip for strip in strips if strip.height], edge=round(size * 1.5), gap=round(size * 0.6))


def _columns(values: NDArray[np.float64], width: int, size: float) -> Image.Image:
    low, high = float(values.min()), float(values.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(values, bins=BINS, range=(low, high))
    height, foot = round(size * 7), round(size * 1.8)
    strip = Image.new("RGB", (width, height + foot), PAPER)
    draw, step = ImageDraw.Draw(strip), width / BINS
    for k, count in enumerate(counts.tolist()):
        if count:
            top = min(height - 1 - (height - 2) * count / counts.max(), height - 2)
            draw.rectangle((k * step + 1, top, (k + 1) * step - 1, height - 1), fill=FOR)
    draw.line((0, height, width, height), fill=INK)
    write(draw, (0, height + size * 0.3), signed(low), size * 0.9, ink=MUTED)
    write(draw, (width, height + size * 0.3), signed(high), size * 0.9, ink=MUTED, anchor="ra")
    write(draw, (width / 2, height + size * 0.3), f"up to {counts.max()} a column", size * 0.9, ink=MUTED, anchor="ma")
    return strip

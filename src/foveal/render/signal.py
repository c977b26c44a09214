"""A signal as curves, with the evidence along it: behind the curves as color, below them as a curve of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.render.scale import number
from foveal.render.text import write

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray

    from foveal.render.scale import Scale

CHANNELS = 12  # curves; of more the first are drawn, and the picture says so
PAPER, INK, FAINT = (255, 255, 255), (34, 34, 38), (150, 150, 156)
VEIL = 0.55  # of the strongest evidence behind a curve
FINER = 2  # times as many pixels, which are averaged


def draw_signal(
    values: Float[NDArray[np.float32], "c length"],
    evidence: Float[NDArray[np.float32], " length"] | None,
    scale: Scale | None,
    side: int,
    named: str = "evidence",
) -> Image.Image:
    """Each channel as a curve, least to greatest value, with the numbers of the samples below.

    Args:
        values: what the network is shown.
        evidence: at each sample; None draws the signal alone.
        scale: the colors of evidence.
        side: width in pixels.
        named: what the curve below is called.
    """
    shown = values[:CHANNELS]
    count, length = shown.shape
    type_size = max(9.0, side / 56)
    line = round(type_size * 1.5)
    strip = round(max(2.6 * line, side * 0.3 / count))
    below = round(side * 0.12) if evidence is not None else 0
    height = (strip + line) * count + (below + line if below else 0) + line
    large = Image.new("RGB", (side * FINER, height * FINER), PAPER)
    draw = ImageDraw.Draw(large)
    columns = None if evidence is None else _columns(evidence, side * FINER)
    top = line
    for channel in shown:
        if columns is not None and scale is not None:
            _paste_veil(large, columns, scale, top * FINER, strip * FINER)
        _curve(draw, channel, side * FINER, top * FINER, strip * FINER)
        top += strip + line
    if columns is not None and scale is not None:
        _area(draw, columns, scale, top * FINER, below * FINER)
    picture = large.resize((side, height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for at, channel in enumerate(shown):
        name = f"channel {at}" if len(values) > 1 else "signal"
        left_out = f" ({count} of {len(values)} channels)" if at == 0 and len(values) > count else ""
        words = f"{name}, {number(float(channel.min()))} to {number(float(channel.max()))}{left_out}"
        write(draw, (0, (strip + line) * at + line / 2), words, type_size, ink=INK, anchor="lm")
    if below:
        write(draw, (0, top - line / 2), named, type_size, ink=INK, anchor="lm")
    _samples(draw, length, side, height - line / 2, type_size)
    return picture


def _columns(evidence: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The evidence at each column of pixels: between samples, or the strongest of those in it."""
    length = len(evidence)
    if length <= width:
        at = (np.arange(width) + 0.5) * length / width - 0.5
        return np.interp(at, np.arange(length), evidence).astype(np.float32)
    edges = np.arange(width) * length // width
    high, low = np.maximum.reduceat(evidence, edges), np.minimum.reduceat(evidence, edges)
    return np.where(high >= -low, high, low)


def _paste_veil(picture: Image.Image, columns: NDArray[np.float32], scale: Scale, top: int, height: int) -> None:
    strength = (VEIL * scale.strength(columns))[:, None]
    colors = np.round(255 * (1 - strength) + scale.color(columns) * strength).astype(np.uint8)
    picture.paste(Image.fromarray(colors[None]).resize((len(columns), height), Image.Resampling.NEAREST), (0, top))


def _curve(draw: ImageDraw.ImageDraw, channel: NDArray[np.float32], width: int, top: int, height: int) -> None:
    """From least to greatest value; of more samples than columns, from the least to the greatest of each column."""
    low, high = float(channel.min()), float(channel.max())
    unit = (channel - low) / (high - low) if high > low else np.full_like(channel, 0.5)
    margin, thick = 0.06 * height, max(2, FINER * 3 // 2)
    y: NDArray[np.float64] = top + height - margin - unit.astype(np.float64) * (height - 2 * margin)
    length = len(channel)
    if length > width:
        edges = np.arange(width) * length // width
        ends = zip(np.minimum.reduceat(y, edges).tolist(), np.maximum.reduceat(y, edges).tolist(), strict=True)
        for column, (above, under) in enumerate(ends):
            draw.line((column, above, column, max(under, above + thick)), fill=INK, width=1)
        return
    x = (np.arange(length) + 0.5) * width / length
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    draw.line(points if length > 1 else [(0, points[0][1]), (width, points[0][1])], fill=INK, width=thick)


def _area(draw: ImageDraw.ImageDraw, columns: NDArray[np.float32], scale: Scale, top: int, height: int) -> None:
    """Between zero and the evidence, in its color; what lies beyond the scale is cut."""
    low, high = min(0.0, *scale.ends), max(0.0, *scale.ends)
    zero = top + height * high / (high - low)
    ends = top + height * (high - np.clip(columns, low, high)) / (high - low)
    for x, (end, color) in enumerate(zip(ends.tolist(), scale.color(columns).tolist(), strict=True)):
        draw.line((x, zero, x, end), fill=tuple(color), width=1)
    draw.line((0, zero, len(columns), zero), fill=FAINT, width=FINER)


def draw_area(
    draw: ImageDraw.ImageDraw, values: NDArray[np.float32], color: tuple[int, ...], top: int, height: int, width: int
) -> None:
    """Between zero and the values, which are none below it, in one color."""
    columns = _columns(values, width)
    ends = top + height * (1 - np.clip(columns, 0, None) / (float(columns.max()) or 1.0))
    for x, end in enumerate(ends.tolist()):
        draw.line((x, top + height, x, end), fill=color, width=1)
    draw.line((0, top + height, width, top + height), fill=FAINT, width=1)


def _samples(draw: ImageDraw.ImageDraw, length: int, side: int, y: float, size: float) -> None:
    """Numbers of samples, counted from 0."""
    step = _round_step(length / 8)
    for sample in range(0, length, step):
        x = (sample + 0.5) * side / length
        write(draw, (max(x, size / 2), y), str(sample), size * 0.9, ink=FAINT, anchor="mm")


def _round_step(least: float) -> int:
    """1, 2 or 5 times a power of ten, no less than this."""
    power = 10 ** int(np.floor(np.log10(max(1.0, least))))
    return int(next(times * power for times in (1, 2, 5, 10) if times * power >= least))

"""Contour lines of a map on its photo: fine, smooth at their edges, readable on any ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

LEVELS = (0.25, 0.5, 0.75)  # of the scale's limit
RIM = 0.6  # opacity of the rim that sets a line off from its ground


def smooth(values: Float[NDArray[np.floating], "h w"], cell: float) -> Float[NDArray[np.float32], "h w"]:
    """The values without the kinks that interpolation leaves in the middles of cells, `cell` pixels wide."""
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(values.astype(np.float32), 0.3 * cell, mode="nearest"), np.float32)


def cover(values: Float[NDArray[np.floating], "h w"], level: float, width: float) -> Float[NDArray[np.float32], "h w"]:
    """How much of each pixel the line takes on which the values are `level`, 0..1.

    The line is |v − level| / |∇v| < width / 2: a distance in pixels, to first order, which makes smooth edges.
    """
    dy, dx = (np.gradient(values, axis=k) if values.shape[k] > 1 else np.zeros_like(values) for k in (0, 1))
    distance = np.abs(values - level) / np.maximum(np.hypot(dy, dx), 1e-9)
    return np.asarray(np.clip(width / 2 + 0.5 - distance, 0, 1), dtype=np.float32)


def draw_contour(
    pixels: Float[NDArray[np.float32], "h w 3"],
    values: Float[NDArray[np.floating], "h w"],
    level: float,
    color: Float[NDArray[np.floating], " 3"],
    width: float,
) -> Float[NDArray[np.float32], "h w 3"]:
    """Pixels of 0..1 with a line in a color of 0..1 on them; its rim is dark where the color is light, else light."""
    rim = cover(values, level, 2 * width)[..., None] * np.float32(RIM)
    line = cover(values, level, width)[..., None]
    ground = pixels * (1 - rim) + rim * np.float32(color.mean() < 0.4)
    return np.asarray(ground * (1 - line) + np.asarray(color, np.float32) * line, dtype=np.float32)


def draw_contours(
    pixels: Float[NDArray[np.float32], "h w 3"],
    values: Float[NDArray[np.floating], "h w"],
    levels: Sequence[tuple[float, Float[NDArray[np.floating], " 3"]]],
    *,
    width: float,
    cell: float,
) -> Float[NDArray[np.float32], "h w 3"]:
    """The pixels with a line for each (level, color); values are NaN around the rectangle that the network saw."""
    inside = np.isfinite(values)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not rows.size:
        return pixels
    seen = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    drawn, even = pixels[seen], smooth(values[seen], cell)
    for level, color in levels:
        drawn = draw_contour(drawn, even, level, color, width)
    whole = pixels.copy()
    whole[seen] = drawn
    return whole

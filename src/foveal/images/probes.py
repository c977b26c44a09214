"""Pictures of known values, and where in the photo the pixels of an input must then lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from foveal.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROBED = (300, 420)
"""(H, W) of the first probes, of the proportions of a photo."""

SMALLEST = 8
BORDER = 3
"""Input or photo pixels from an edge up to which filters mix what is beyond."""

WHOLE = 0.05
"""A resized photo has a whole number of pixels, and a crop starts at one: what is as near is taken for it."""


def gray(size: tuple[int, int], level: int) -> Image.Image:
    """A picture (H, W) of one gray."""
    return Image.new("RGB", size[::-1], (level,) * 3)


def noise(size: tuple[int, int]) -> Image.Image:
    """A picture (H, W) of random colors, always the same."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))


def ramp(size: tuple[int, int], axis: int) -> Image.Image:
    """Black at the start of an axis, white at its end."""
    levels = np.round(np.linspace(0, 255, size[axis])).astype(np.uint8)
    along = levels[:, None] if axis == 0 else levels[None]
    return Image.fromarray(np.broadcast_to(along[..., None], (*size, 3)).copy())


def axis_of(axis: int, light: NDArray[Any], shown: NDArray[np.bool_], photo: tuple[int, int]) -> tuple[float, float]:
    """(scale, offset) along an axis: photo point p lies at p · scale − offset of the input.

    Args:
        light: (h, w) what the ramp along this axis became, black at 0 and white at 1.
        shown: (h, w) where the photo is.

    Raises:
        ImageError: where no such two numbers are right.
    """
    side = photo[axis]
    if side < SMALLEST:
        raise ImageError(f"a photo of {photo[1]}×{photo[0]} is too small to learn from what becomes of it.")
    at = light * (side - 1) + 0.5
    rows, columns = np.indices(light.shape) + 0.5
    inner = _eroded(shown)
    for _ in range(2):
        if inner.sum() < 16:
            raise ImageError(f"it shows too little of a photo of {photo[1]}×{photo[0]} to learn where that lies.")
        known = np.stack([rows[inner], columns[inner], np.ones(int(inner.sum()))], 1)
        (*steps, start), *_ = np.linalg.lstsq(known, at[inner], rcond=None)
        fitted = steps[0] * rows + steps[1] * columns + start
        margin = BORDER * max(1.0, abs(steps[axis]))
        narrow = _eroded(shown) & (fitted > margin) & (fitted < side - margin)
        inner = narrow if narrow.sum() >= 16 else inner
    own, other = steps[axis], steps[1 - axis]
    off = np.abs(at - fitted)[inner].max()
    allowed = 1.5 * (side - 1) / 255 + 1.5 + 0.5 * abs(own)
    name = ("down", "right")[axis]
    if off > allowed:
        raise ImageError(
            f"it warps the photo: no straight line leads from its input {name} in the photo (off by {off:.3g} pixels)."
        )
    if abs(other) * light.shape[1 - axis] > max(2.0, 0.02 * side) + (side - 1) / 255:
        raise ImageError("it turns or shears the photo: leave that out, or turn the photos themselves.")
    if own <= 0:
        raise ImageError("it mirrors the photo: leave that out, or mirror the photos themselves.")
    return _snapped(own, at, inner, axis, side)


def _snapped(step: float, at: NDArray[Any], inner: NDArray[np.bool_], axis: int, side: int) -> tuple[float, float]:
    """(scale, offset), whole where they nearly are."""
    resized = side / step
    scale = (round(resized) if abs(resized - round(resized)) < WHOLE * 4 else resized) / side
    middles = np.indices(at.shape)[axis] + 0.5
    offset = float(np.mean(at[inner] * scale - middles[inner]))
    return float(scale), float(round(offset)) if abs(offset - round(offset)) < WHOLE else offset


def _eroded(shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without a border; the whole where nothing would be left."""
    from scipy.ndimage import binary_erosion

    inner = np.asarray(binary_erosion(shown, iterations=2, border_value=1))
    return inner if inner.any() else shown

"""An image under construction: shapes are rasterized at four times the size, reduced, and laid over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from foveal.synthetic.outline import Points

OVERSAMPLING = 4
Gray = NDArray[np.float32]


@dataclass(frozen=True)
class Coverage:
    """How much of each pixel in a box is covered, 0 to 1."""

    x: int
    y: int
    alpha: Gray  # (h, w)

    @property
    def window(self) -> tuple[slice, slice]:
        h, w = self.alpha.shape
        return slice(self.y, self.y + h), slice(self.x, self.x + w)

    def grid(self) -> tuple[Gray, Gray]:
        """The pixels' centers, as a row of x and a column of y."""
        h, w = self.alpha.shape
        xs = np.arange(self.x, self.x + w, dtype=np.float32) + np.float32(0.5)
        ys = np.arange(self.y, self.y + h, dtype=np.float32) + np.float32(0.5)
        return xs[None, :], ys[:, None]


class Canvas:
    """Colors as float32 in 0..255, and the label of the topmost element of each pixel."""

    def __init__(self, pixels: NDArray[np.float32]) -> None:
        self.pixels = pixels
        self.labels = np.zeros(pixels.shape[:2], np.uint8)
        self.creature = np.zeros(pixels.shape[:2], np.float32)

    @property
    def size(self) -> int:
        return len(self.pixels)

    def lay(self, cover: Coverage, color: NDArray[np.float32], label: int | None = None) -> None:
        """Lay a color (one, or one per pixel of the box) over the image; a label claims what is half covered."""
        window = self.pixels[cover.window]
        window += (color - window) * cover.alpha[..., None]
        if label is not None:
            self.labels[cover.window][cover.alpha >= 0.5] = label

    def darken(self, cover: Coverage, tint: NDArray[np.float32]) -> None:
        """Multiply by a tint (factors of red, green, blue) where covered."""
        window = self.pixels[cover.window]
        window *= 1 - (1 - tint) * cover.alpha[..., None]


def rasterize(
    polygons: Sequence[Points], size: int, *, strokes: Sequence[Points] = (), width: float = 1.0, margin: int = 1
) -> Coverage | None:
    """The union of closed polygons and of strokes `width` pixels wide; None when all of it is outside."""
    outlines = [np.rint(points * OVERSAMPLING).astype(np.int64) for points in (*polygons, *strokes)]
    reach = margin + (width if strokes else 0)
    low = np.floor(np.min([o.min(0) for o in outlines], 0) / OVERSAMPLING - reach).astype(int).clip(0, size)
    high = np.ceil(np.max([o.max(0) for o in outlines], 0) / OVERSAMPLING + reach).astype(int).clip(0, size)
    w, h = (high - low).tolist()
    if w <= 0 or h <= 0:
        return None
    image = Image.new("L", (w * OVERSAMPLING, h * OVERSAMPLING))
    draw = ImageDraw.Draw(image)
    corner = low * OVERSAMPLING
    for outline in outlines[: len(polygons)]:
        draw.polygon((outline - corner).ravel().tolist(), fill=255)
    for outline in outlines[len(polygons) :]:
        draw.line((outline - corner).ravel().tolist(), fill=255, width=max(1, round(width * OVERSAMPLING)))
    alpha = np.asarray(image.reduce(OVERSAMPLING), np.float32) / np.float32(255)
    return Coverage(int(low[0]), int(low[1]), alpha)


def blurred(alpha: Gray, radius: float) -> Gray:
    """A soft copy: two box blurs, in whole gray levels."""
    image = Image.fromarray(np.rint(alpha * 255).astype(np.uint8))
    return np.asarray(
        image.filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius)), np.float32
    ) / np.float32(255)

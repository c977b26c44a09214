"""Which axes of a tensor are the map: (n, c, h, w), or (n, h, w, c) as some networks have it; so of any space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from torch import Tensor

Layout: TypeAlias = Literal["nchw", "nhwc"]
"""Channels first or last; said of images, and meant of signals (n, c, length) and volumes (n, c, d, h, w), too."""

SPACE = {1: "length", 2: "h, w", 3: "d, h, w"}
"""The letters of the axes of space, by their number."""


def letters(axes: int) -> str:
    """ "(n, c, h, w)" of two axes of space."""
    return f"(n, c, {SPACE.get(axes, '*space')})"


def find_layout(shape: Sequence[int], image: Sequence[int], stride: Sequence[float] | None = None) -> Layout | None:
    """The layout of a tensor of `shape` computed from images of size (h, w), or None if it is no feature map.

    The cells of a map lie as the image does: as many per row and column as its sides ask for, or as the strides
    met on the way predict where those differ between the axes. (64, 49, 64) from a square image is neither.
    A signal has no proportions: there the stride decides alone.
    """
    if len(shape) != len(image) + 2 or not image:
        return None
    if len(image) == 1:
        fitting = [at for at, cells in _both(shape) if stride and _predicted(cells, image, stride)]
        return fitting[0] if fitting else None
    first, last = (_mismatch(cells, image) for _, cells in _both(shape))
    if last < first and last <= 1 and not (stride and _predicted(shape[2:], image, stride)):
        return "nhwc"
    return "nchw" if first <= 1 or (stride and _predicted(shape[2:], image, stride)) else None


def fits_both(shape: Sequence[int], image: Sequence[int]) -> bool:
    """Whether the shape is that of a map either way."""
    return len(shape) == len(image) + 2 and all(_mismatch(cells, image) <= 1 for _, cells in _both(shape))


def _both(shape: Sequence[int]) -> tuple[tuple[Layout, Sequence[int]], tuple[Layout, Sequence[int]]]:
    """The cells of a map of each layout."""
    return ("nchw", shape[2:]), ("nhwc", shape[1:-1])


def channels_first(tensor: Tensor, layout: Layout) -> Tensor:
    """The same numbers as (n, c, h, w)."""
    return tensor if layout == "nchw" else tensor.movedim(-1, 1)


def _mismatch(cells: Sequence[int], image: Sequence[int]) -> float:
    """How far h : w is from the image's, 1 being what padding and rounding may do at each end."""
    expected = [cells[0] * side / image[0] for side in image]
    apart = (abs(e - n) / (2 + 0.15 * n) for e, n in zip(expected[1:], cells[1:], strict=True))
    return max(apart, default=0.0)


def _predicted(cells: Sequence[int], image: Sequence[int], stride: Sequence[float]) -> bool:
    return all(abs(side / step - n) <= 1 + 0.1 * n for n, side, step in zip(cells, image, stride, strict=True))

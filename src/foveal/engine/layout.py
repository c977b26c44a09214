"""Which axes of a tensor are the map: (n, c, h, w), or (n, h, w, c) as some networks have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from torch import Tensor

Layout: TypeAlias = Literal["nchw", "nhwc"]


def find_layout(shape: Sequence[int], image: Sequence[int], stride: tuple[float, float] | None = None) -> Layout | None:
    """The layout of a tensor of `shape` computed from images of size (h, w), or None if it is no feature map.

    The cells of a map lie as the image does: as many per row and column as its sides ask for, or as the strides
    met on the way predict where those differ between the axes. (64, 49, 64) from a square image is neither.
    """
    if len(shape) != 4:
        return None
    first, last = _mismatch(shape[2:], image), _mismatch(shape[1:3], image)
    if last < first and last <= 1 and not (stride and _predicted(shape[2:], image, stride)):
        return "nhwc"
    return "nchw" if first <= 1 or (stride and _predicted(shape[2:], image, stride)) else None


def fits_both(shape: Sequence[int], image: Sequence[int]) -> bool:
    """Whether the shape is that of a map either way."""
    return len(shape) == 4 and max(_mismatch(shape[2:], image), _mismatch(shape[1:3], image)) <= 1


def channels_first(tensor: Tensor, layout: Layout) -> Tensor:
    """The same numbers as (n, c, h, w)."""
    return tensor if layout == "nchw" else tensor.permute(0, 3, 1, 2)


def _mismatch(cells: Sequence[int], image: Sequence[int]) -> float:
    """How far h : w is from the image's, 1 being what padding and rounding may do at each end."""
    expected = cells[0] * image[1] / image[0]
    return abs(expected - cells[1]) / (2 + 0.15 * cells[1])


def _predicted(cells: Sequence[int], image: Sequence[int], stride: tuple[float, float]) -> bool:
    return all(abs(side / step - n) <= 1 + 0.1 * n for n, side, step in zip(cells, image, stride, strict=True))

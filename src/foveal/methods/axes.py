"""Which axes of a tensor are space: two of images, one of signals, three of volumes and videos."""

from __future__ import annotations

from torch import Tensor


def space_of(A: Tensor) -> tuple[int, ...]:
    """The axes behind images and channels, of (n, c, *space)."""
    return tuple(range(2, A.ndim))


def behind_first(M: Tensor) -> tuple[int, ...]:
    """The axes behind the first: space in (n, *space), and in (c, *space)."""
    return tuple(range(1, M.ndim))

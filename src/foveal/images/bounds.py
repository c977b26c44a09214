"""How large a picture may be that a stranger's file asks for, and silence of the libraries that read it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod

from PIL import Image

from foveal.errors import ImageError

MOST_BYTES = 2**31
"""No picture or volume takes more memory."""

_most_pixels: ContextVar[int | None] = ContextVar("most_pixels", default=None)


@contextmanager
def at_most(pixels: int) -> Iterator[None]:
    """Inside, no picture of more pixels is read."""
    token = _most_pixels.set(pixels)
    try:
        yield
    finally:
        _most_pixels.reset(token)


def check_size(height: int, width: int, bands: int = 1) -> None:
    """Refuse a picture before memory is taken for it, by the size that the file's head declares.

    Raises:
        ImageError: where nothing, or too much, is declared.
    """
    if min(height, width, bands) <= 0:
        raise ImageError(f"an image of {width}×{height} has no pixels.")
    check_pixels(height, width)
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and height * width > 2 * most:
        raise ImageError(
            f"it has more than {2 * most:,} pixels; shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the "
            "file."
        )
    check_memory((height, width, bands))


def check_pixels(height: int, width: int) -> None:
    """Refuse a picture beyond the bound of `at_most`.

    Raises:
        ImageError: where it has more pixels.
    """
    most = _most_pixels.get()
    if most is not None and height * width > most:
        raise ImageError(f"it has more than {most:,} pixels: make it smaller.")


def check_memory(shape: Sequence[int], item: int = 4) -> None:
    """Refuse values that take too much memory.

    Args:
        item: bytes of one value.

    Raises:
        ImageError: where a side is nothing, or all of them too much.
    """
    if min(shape) <= 0:
        raise ImageError(f"an image of {'×'.join(map(str, shape))} has no values.")
    if prod(shape) * item > MOST_BYTES:
        raise ImageError(f"it would take more than {MOST_BYTES:,} bytes of memory: cut it into smaller ones.")


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Loggers of libraries that print what is said in a sentence anyway, silent for as long as this lasts."""
    changed = [logger for name in loggers if not (logger := logging.getLogger(name)).disabled]
    for logger in changed:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in changed:
            logger.disabled = False

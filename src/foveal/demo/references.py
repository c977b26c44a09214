"""Maps that know nothing of the network. A method that does not beat them has shown nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray

    Picture = UInt8[NDArray[np.uint8], "h w 3"]
    Reference = Float[NDArray[np.float64], "h w"]

CELL = 8  # pixels a cell of the random map, as wide as a cell of the last stage


def random_map(picture: Picture) -> Reference:
    """Uniform noise on cells as coarse as a feature map's; the same for the same picture."""
    h, w = picture.shape[:2]
    noise = np.random.default_rng(zlib.crc32(picture.tobytes())).random((h // CELL + 1, w // CELL + 1))
    return np.asarray(np.kron(noise, np.ones((CELL, CELL)))[:h, :w], np.float64)


def centre_map(picture: Picture) -> Reference:
    """A Gaussian at the centre, a quarter of the picture wide."""
    h, w = picture.shape[:2]
    y, x = np.mgrid[:h, :w]
    distance = ((y - h / 2) / (h / 4)) ** 2 + ((x - w / 2) / (w / 4)) ** 2
    return np.asarray(np.exp(-distance / 2), np.float64)


def edge_map(picture: Picture) -> Reference:
    """How fast brightness changes."""
    dy, dx = np.gradient(picture.astype(np.float64).mean(2))
    return np.asarray(np.hypot(dy, dx), np.float64)


REFERENCES: dict[str, Callable[[Picture], Reference]] = {
    "random": random_map,
    "centre": centre_map,
    "edges": edge_map,
}

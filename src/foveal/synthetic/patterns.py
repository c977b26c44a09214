"""Patterns: how strongly the accent color covers each point of a part, 0 to 1.

Each takes t (0 at the part's root, 1 at its tip), and x, y in the creature's units; `soft` is the width of
an edge in units, one pixel or a little more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.synthetic.scene import SceneError

Field = NDArray[Any]  # float32
Pattern = Callable[[Field, Field, Field, float], Field]


def _step(signed_distance: Field, soft: float) -> Field:
    """1 where the distance (in units, positive inside) is clearly positive, 0 where clearly negative."""
    inside: Field = np.clip(signed_distance * np.float32(1 / soft) + np.float32(0.5), 0, 1)
    return inside


def _wave(x: Field) -> Field:
    """A triangle wave of period 1 between -1 and 1, highest at whole numbers."""
    return np.abs(x - np.floor(x) - np.float32(0.5)) * 4 - 1


def _lattice(x: Field, y: Field, pitch: float) -> Field:
    """Distance to the nearest point of a staggered lattice."""
    row = np.floor(y / pitch + 0.5)
    shifted = x / pitch + np.where(row % 2 == 0, 0, 0.5).astype(np.float32)
    dx, dy = (shifted - np.floor(shifted + 0.5)) * pitch, y - row * pitch
    return np.sqrt(dx * dx + dy * dy)


def _ellipse(x: Field, y: Field, cx: float, cy: float, rx: float, ry: float) -> Field:
    """Signed distance, nearly, to an ellipse; positive inside."""
    dx, dy = (x - np.float32(cx)) / rx, (y - np.float32(cy)) / ry
    distance: Field = (1 - np.sqrt(dx * dx + dy * dy)) * min(rx, ry)
    return distance


PATTERNS: dict[str, Pattern] = {
    "plain": lambda t, x, y, soft: np.zeros_like(t),
    "tipped": lambda t, x, y, soft: _step((t - 0.62) * 30, soft),
    "based": lambda t, x, y, soft: _step((0.42 - t) * 30, soft),
    "banded": lambda t, x, y, soft: _step(_wave(t * 2.6 + 0.05) * 3, soft),
    "bars": lambda t, x, y, soft: _step((_wave(t * 4.2) - 0.1) * 2.4, soft),
    "spots": lambda t, x, y, soft: _step(2.5 - _lattice(x + 0.3 * y, y + 1.5, 7.4), soft),
    "scales": lambda t, x, y, soft: _step(np.abs(_lattice(x, y * 1.1, 8.0) - 3.9) * -1 + 1.0, soft * 1.2),
    "patch": lambda t, x, y, soft: _step(_ellipse(x, y, -6.0, 0.0, 15.0, 7.0), soft),
    "belly": lambda t, x, y, soft: _step(_ellipse(x, y, 10.0, 18.0, 27.0, 17.0), soft * 7),
    "bib": lambda t, x, y, soft: _step(_ellipse(x, y, 30.0, 2.0, 14.0, 13.0), soft * 1.5),
    "mask": lambda t, x, y, soft: _step(_ellipse(x, y + 0.1 * x, 33.0, -25.0, 19.0, 6.4), soft),
    "cap": lambda t, x, y, soft: _step(-33.5 - y + 0.12 * (x - 25), soft),
    "cheek": lambda t, x, y, soft: _step(_ellipse(x, y, 24.0, -19.0, 8.5, 7.5), soft),
    "collar": lambda t, x, y, soft: _step(4.5 - np.abs(y + 12 + 0.35 * (x - 20)), soft),
}  # fmt: skip


def pattern(name: str) -> Pattern:
    """The pattern of this name: a function of (t, x, y, soft) that says how strongly the accent color covers, 0..1.

    Raises:
        SceneError: for a name that is not one of `PATTERNS`.
    """
    if name not in PATTERNS:
        raise SceneError(f"no pattern is called {name!r}: choose one of {', '.join(PATTERNS)}")
    return PATTERNS[name]

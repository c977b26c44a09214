"""The world's colors, by name, and the three tones each is painted in."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from foveal.synthetic.scene import SceneError

Color = NDArray[np.float32]  # (..., 3) red, green, blue in 0..255

COLORS = {
    "snow": "fbf6ea", "cream": "f2e3c2", "sand": "dcb782", "amber": "f5a32a", "saffron": "f7cb45",
    "coral": "f0705a", "scarlet": "d42f3c", "rose": "eb93ab", "plum": "74407f", "violet": "9474cf",
    "navy": "27406f", "cobalt": "3566c4", "sky": "72bce8", "turquoise": "3fb9b1", "teal": "1d7f85",
    "mint": "a8dcb9", "moss": "66883f", "olive": "a3a544", "rust": "bd5a2c", "chestnut": "7b4529",
    "slate": "67778c", "silver": "bcc7d0", "charcoal": "40434d", "ink": "23243a",
}  # fmt: skip

SHADE = np.array([43, 32, 78], np.float32)  # shadows lean to indigo
GLOW = np.array([255, 246, 222], np.float32)  # lights to cream


def rgb(name: str) -> Color:
    """The named color as three values in 0..255."""
    if name not in COLORS:
        raise SceneError(f"no color is called {name!r}: choose one of {', '.join(COLORS)}")
    return np.array(list(bytes.fromhex(COLORS[name])), np.float32)


@cache
def ramp(name: str) -> Color:
    """256 tones of a named color (256, 3): in shade, as it is, lit."""
    deep, base, light = tones(name)
    tone = np.linspace(-1, 1, 256, dtype=np.float32)[:, None]
    shaded: Color = base + np.maximum(tone, 0) * (light - base) + np.maximum(-tone, 0) * (deep - base)
    return shaded


@cache
def tones(name: str) -> tuple[Color, Color, Color]:
    """Shadow, base and light of a named color."""
    base = rgb(name)
    dim = base * np.float32(0.72)
    deep: Color = np.add(dim, (SHADE - dim) * np.float32(0.34), dtype=np.float32)
    light: Color = base + (GLOW - base) * np.float32(0.42)
    return deep, base, light

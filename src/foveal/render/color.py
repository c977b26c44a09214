"""Two color tables in which equal steps of value look equally large.

Both are curves in OKLab (Ottosson 2020), a space where distance is how different two colors look. Lightness is
linear along the table, or along each half of it; hue and chroma follow a smooth curve traveled at constant
speed. So every step is about the same distance, no false edge appears, and the order survives a gray print and
every kind of color blindness, for which lightness is what remains.

sequential    near-black violet, crimson, orange, pale yellow: for evidence from none to most.
diverging     blue, white, orange-red: for signed evidence, zero in the middle. Blue against orange is the pair
              that every common kind of color blindness keeps apart.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import MissingExtra, ResultError

if TYPE_CHECKING:
    from jaxtyping import Float64, UInt8
    from numpy.typing import NDArray

STEPS = 256

# (a, b) control points of Bezier curves, chosen to stay inside sRGB at every lightness they pass.
_DARK_TO_BRIGHT = ((0.028, -0.09), (0.218, -0.154), (0.298, 0.2), (-0.052, 0.154))
_NEUTRAL_TO_BLUE = ((0.0, 0.0), (-0.03, -0.05), (-0.05, -0.10), (-0.03, -0.265))
_NEUTRAL_TO_ORANGE = ((0.0, 0.0), (0.01, 0.07), (0.07, 0.196), (0.182, 0.082))


@cache
def sequential() -> UInt8[NDArray[np.uint8], "256 3"]:
    """Dark to bright: table[0] is no evidence, table[255] is the most."""
    return _table(_curve(_DARK_TO_BRIGHT, STEPS), np.linspace(0.20, 0.94, STEPS))


@cache
def diverging() -> UInt8[NDArray[np.uint8], "256 3"]:
    """Blue for against, white for nothing, orange for in favor; zero lies between entries 127 and 128."""
    half = STEPS // 2
    # Half a step from zero on either side, so that the two sides are alike.
    lightness = np.linspace(0.97, 0.5, 2 * half)[::2]
    sides = [_curve(points, 2 * half)[::2] for points in (_NEUTRAL_TO_BLUE, _NEUTRAL_TO_ORANGE)]
    against, favor = (_table(side, lightness) for side in sides)
    return np.concatenate([against[::-1], favor])


COMMON = ("inferno", "magma", "viridis", "turbo", "gray", "coolwarm", "RdBu_r", "PuOr", "seismic")
"""Colormaps that are named where somebody asks for one that does not exist."""


@cache
def named(name: str) -> UInt8[NDArray[np.uint8], "256 3"]:
    """The table of a colormap by the name that matplotlib or another collection gives it: "viridis", "RdBu_r".

    Raises:
        MissingExtra: where the package `cmap` is not installed.
        ResultError: for a name that it does not know.
    """
    return np.asarray(np.round(_colormap(name).lut(STEPS)[:, :3] * 255), dtype=np.uint8)


@cache
def is_diverging(name: str) -> bool:
    """Whether the middle of a colormap stands for zero."""
    return bool(_colormap(name).category == "diverging")


def _colormap(name: str) -> Any:
    try:
        from cmap import Colormap
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"The colormap {name!r} comes from the package cmap, which is not installed: "
            "pip install 'foveal[colormaps]'."
        ) from error
    for full in (name if ":" in name else f"matplotlib:{name}", name):  # a bare name may stand for several
        with suppress(ValueError, TypeError):
            return Colormap(full)
    raise ResultError(f"There is no colormap {name!r}: use {', '.join(COMMON)}, or another name of matplotlib's.")


def to_oklab(rgb: UInt8[NDArray[np.uint8], "... 3"]) -> Float64[NDArray[np.float64], "... 3"]:
    """sRGB bytes as OKLab lightness (0..1), a (green to red) and b (blue to yellow)."""
    s = np.asarray(rgb) / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ np.linalg.inv(_LMS_TO_RGB).T) @ np.linalg.inv(_LAB_TO_LMS).T)


def from_oklab(lab: Float64[NDArray[np.float64], "... 3"]) -> Float64[NDArray[np.float64], "... 3"]:
    """OKLab as sRGB in 0..1; outside of that range where a screen cannot show the color."""
    linear = ((np.asarray(lab) @ _LAB_TO_LMS.T) ** 3) @ _LMS_TO_RGB.T
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, curved))


# Ottosson's matrices: OKLab to cube roots of cone responses, cone responses to linear sRGB.
_LAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def _curve(points: tuple[tuple[float, float], ...], steps: int) -> NDArray[np.float64]:
    """A Bezier curve through the (a, b) plane, at points equally far apart along it."""
    t = np.linspace(0, 1, 2001)[:, None]
    layer = [np.broadcast_to(np.array(point), (len(t), 2)) for point in points]
    while len(layer) > 1:  # de Casteljau
        layer = [(1 - t) * p + t * q for p, q in pairwise(layer)]
    traveled = np.concatenate([[0], np.linalg.norm(np.diff(layer[0], axis=0), axis=1).cumsum()])
    even = np.linspace(0, traveled[-1], steps)
    return np.stack([np.interp(even, traveled, layer[0][:, i]) for i in (0, 1)], axis=1)


def _table(ab: NDArray[np.float64], lightness: NDArray[np.float64]) -> NDArray[np.uint8]:
    rgb = from_oklab(np.concatenate([lightness[:, None], ab], axis=1))
    return np.round(np.clip(rgb, 0, 1) * 255).astype(np.uint8)

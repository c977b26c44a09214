"""Personal marks: they distinguish the individuals of a species."""

from __future__ import annotations

import math

import numpy as np

from foveal.synthetic.canvas import Canvas, rasterize
from foveal.synthetic.outline import Placement, Points, disc
from foveal.synthetic.palette import rgb, tones
from foveal.synthetic.scene import LABELS, Mark, SceneError

MARK_KINDS = ("spot", "ring", "scar")


def draw_mark(canvas: Canvas, mark: Mark, placement: Placement) -> None:
    """Draw one mark on its host, which must have been drawn already."""
    outline = [placement.points(polygon) for polygon in _polygons(mark)]
    cover = rasterize(outline, canvas.size)
    if cover is None:
        return
    canvas.lay(cover, rgb(mark.color), LABELS["mark"])
    if mark.kind != "scar":
        hole = rasterize([placement.points(disc(mark.x, mark.y, mark.size * 0.5))], canvas.size)
        if hole is not None:
            inner = tones(mark.color)[2] if mark.kind == "spot" else tones(mark.color)[0] * np.float32(0.5)
            canvas.lay(hole, inner)


def _polygons(mark: Mark) -> list[Points]:
    if mark.kind in ("spot", "ring"):
        return [disc(mark.x, mark.y, mark.size)]
    if mark.kind == "scar":
        return [_slash(mark, offset) for offset in (-0.55, 0.55)]
    raise SceneError(f"no mark is called {mark.kind!r}: choose one of {', '.join(MARK_KINDS)}")


def _slash(mark: Mark, offset: float) -> Points:
    """One of two parallel cuts."""
    cos, sin = math.cos(math.radians(-55)), math.sin(math.radians(-55))
    long, thin, shift = mark.size * 1.25, mark.size * 0.28, offset * mark.size
    corners = np.array([[-long, shift], [0, shift - thin], [long, shift], [0, shift + thin]])
    x, y = corners[:, 0], corners[:, 1]
    return np.stack([mark.x + x * cos - y * sin, mark.y + x * sin + y * cos], 1)

"""Smooth outlines in the creature's coordinates, and the affine maps that place them in the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2) of x, y
STEPS = 7


@dataclass(frozen=True, eq=False)
class Form:
    """A part's shape: closed polygons (their union is the part) and strokes drawn upon it."""

    polygons: tuple[Points, ...]
    strokes: tuple[Points, ...] = ()
    stroke_width: float = 0.7


@dataclass(frozen=True)
class Placement:
    """x' = a x + b y + c, y' = d x + e y + f: from the creature's units to pixels."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def points(self, points: Points) -> Points:
        x, y = points[:, 0], points[:, 1]
        return np.stack([self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f], 1)

    def point(self, x: float, y: float) -> tuple[float, float]:
        return self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f

    def after(self, first: Placement) -> Placement:
        """This map applied to the outcome of `first`."""
        s, t = self, first
        return Placement(
            s.a * t.a + s.b * t.d, s.a * t.b + s.b * t.e, s.a * t.c + s.b * t.f + s.c,
            s.d * t.a + s.e * t.d, s.d * t.b + s.e * t.e, s.d * t.c + s.e * t.f + s.f,
        )  # fmt: skip

    def inverse(self) -> Placement:
        det = self.a * self.e - self.b * self.d
        a, b, d, e = self.e / det, -self.b / det, -self.d / det, self.a / det
        return Placement(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))

    @property
    def scale(self) -> float:
        return math.sqrt(abs(self.a * self.e - self.b * self.d))


def turn(degrees: float, x: float, y: float) -> Placement:
    """A rotation about (x, y); positive turns x towards y, clockwise on the screen."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return Placement(cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)


@cache
def curve(text: str) -> Points:
    """A closed smooth curve through "x,y x,y …"; a point with "!" is a sharp corner."""
    return _hermite(*_parse(text), closed=True)


@cache
def stroke(text: str) -> Points:
    """An open smooth curve through "x,y x,y …"."""
    return _hermite(*_parse(text), closed=False)


def feather(x: float, y: float, angle: float, length: float, width: float, *, tip: float = 0.7) -> Points:
    """A feather rooted at (x, y); `tip` is where along its length it is widest (late: blunt, early: pointed)."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turned = np.array([[length * cos, length * sin], [-width / 2 * sin, width / 2 * cos]])
    unit = _unit_feather(tip)
    placed: Points = unit[:, :1] * turned[0] + unit[:, 1:] * turned[1] + np.array([x, y])
    return placed


@cache
def _unit_feather(tip: float) -> Points:
    """A feather along x, 1 long and 2 wide."""
    blunt = 0.30 + 0.45 * tip
    along = np.array([0, 0.35, tip, 0.93, 1.0, 0.93, tip, 0.35])
    across = np.array([-0.30, -0.8, -1, -blunt, 0, blunt, 1, 0.8])
    return _hermite(np.stack([along, across], 1), np.zeros(8, bool), closed=True)


def shaft(x: float, y: float, angle: float, start: float, stop: float) -> Points:
    """A straight stroke along a feather, from `start` to `stop` units of its root."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[x + start * cos, y + start * sin], [x + stop * cos, y + stop * sin]])


def disc(x: float, y: float, radius: float) -> Points:
    """A circle as a polygon."""
    circle: Points = _unit_circle(24) * radius + np.array([x, y])
    return circle


def ellipse(x: float, y: float, half_width: float, half_height: float) -> Points:
    """An upright ellipse as a polygon."""
    oval: Points = _unit_circle(14) * np.array([half_width, half_height]) + np.array([x, y])
    return oval


@cache
def _unit_circle(count: int) -> Points:
    angles = np.arange(count) * (2 * math.pi / count)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _parse(text: str) -> tuple[Points, NDArray[np.bool_]]:
    words = text.split()
    points = [[float(number) for number in word.rstrip("!").split(",")] for word in words]
    return np.array(points), np.array([word.endswith("!") for word in words])


def _hermite(points: Points, corner: NDArray[np.bool_], *, closed: bool) -> Points:
    """Cubic pieces whose tangent at a point is half the step between its neighbors (Catmull and Rom 1974)."""
    if closed:
        tangent = (np.roll(points, -1, 0) - np.roll(points, 1, 0)) / 2
        start, stop, out, into = points, np.roll(points, -1, 0), tangent, np.roll(tangent, -1, 0)
        sharp_out, sharp_into = corner, np.roll(corner, -1)
    else:
        tangent = np.gradient(points, axis=0)
        start, stop, out, into = points[:-1], points[1:], tangent[:-1], tangent[1:]
        sharp_out, sharp_into = corner[:-1], corner[1:]
    chord = (stop - start) / 2
    out = np.where(sharp_out[:, None], chord, out)
    into = np.where(sharp_into[:, None], chord, into)
    t = (np.arange(STEPS) / STEPS)[None, :, None]
    s, e, o, i = (part[:, None, :] for part in (start, stop, out, into))
    pieces = (2 * t**3 - 3 * t**2 + 1) * s + (t**3 - 2 * t**2 + t) * o + (3 * t**2 - 2 * t**3) * e + (t**3 - t**2) * i
    flat: Points = pieces.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, points[-1:]])

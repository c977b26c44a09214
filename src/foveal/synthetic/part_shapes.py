"""The shapes of every part, in units of the creature looking right: x forward, y down, (0, 46) the ground."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from foveal.synthetic.outline import Form, Points, curve, disc, feather, shaft, stroke
from foveal.synthetic.scene import SceneError

BODIES = {
    "round": "-31,4 -20,-11 -4,-19 12,-24 26,-20 34,-5 32,9 20,21 2,25 -14,20",
    "slender": "-34,6 -20,-8 -2,-15 13,-22 25,-19 31,-6 28,7 16,16 0,19 -18,15",
    "pear": "-31,6 -22,-7 -6,-15 10,-24 25,-19 32,-4 34,12 22,25 2,28 -17,22",
}

HEADS = {
    "round": "25,-44 36,-39 42,-29 39,-18 33,-9 29,-3 18,-6 9,-13 9,-27 14,-39",
    "flat": "24,-41 36,-39 44,-30 40,-19 33,-9 29,-3 18,-6 9,-12 7,-26 12,-38",
    "tall": "25,-48 35,-42 41,-30 39,-18 33,-9 29,-3 18,-6 9,-13 10,-29 15,-43",
}

BEAKS = {
    "cone": ("32,-37! 50,-31 61,-23! 49,-18 32,-16!", "40,-25 50,-24 60,-23"),
    "hooked": ("32,-38! 47,-38 58,-31 60,-14! 53,-20 46,-16 32,-15!", "40,-24 48,-23 54,-20"),
    "dagger": ("32,-34! 50,-29 76,-22! 52,-19 32,-17!", "40,-25 56,-23 74,-22"),
    "spoon": ("32,-32! 48,-28 58,-29 67,-33 75,-28 74,-20 66,-16 57,-20 46,-20 32,-17!", "40,-25 55,-25 71,-25"),
    "sickle": ("32,-35! 49,-33 62,-24 67,-4! 58,-16 47,-21 32,-17!", "40,-26 53,-24 65,-8"),
    "great": ("32,-41! 48,-44 66,-37 72,-18! 60,-17 48,-13 32,-13!", "40,-24 54,-25 70,-19"),
}

WINGS = {
    "rounded": (
        "15,-9 4,-15 -12,-9 -28,2 -35,12 -22,14 -4,12 10,6",
        ("-1,-8 -6,2 -3,11", "-10,-4 -16,4 -14,12", "-19,1 -25,7 -25,13"),
    ),
    "pointed": (
        "15,-9 4,-15 -14,-10 -34,0 -54,11! -34,12 -10,12 9,6",
        ("2,-9 -14,2 -36,10", "-4,-7 -20,-1 -44,8", "6,-4 -8,6 -22,11"),
    ),
    "fringed": (
        "15,-9 4,-15 -12,-10 -26,-5 -40,-1! -29,4 -42,9! -27,11 -36,19! -20,16 -4,13 10,6",
        ("4,-7 -12,-1 -30,1", "4,-2 -10,5 -31,8", "7,2 -4,9 -25,15"),
    ),
}


def _body(shape: str) -> Form:
    return Form((curve(BODIES[shape]),))


def _head(shape: str) -> Form:
    return Form((curve(HEADS[shape]),))


def _eye(shape: str) -> Form:
    return Form((disc(31, -28, {"small": 4.6, "large": 6.2}[shape]),))


def _beak(shape: str) -> Form:
    outline, gape = BEAKS[shape]
    return Form((curve(outline),), (stroke(gape),), 0.9)


def _wing(shape: str) -> Form:
    outline, folds = WINGS[shape]
    return Form((curve(outline),), tuple(stroke(fold) for fold in folds), 0.9)


def _fan(x: float, y: float, plumes: list[tuple[float, float, float]], tip: float) -> Form:
    """Feathers from one root, each (angle, length, width), with their shafts."""
    feathers = tuple(feather(x, y, angle, length, width, tip=tip) for angle, length, width in plumes)
    return Form(feathers, tuple(shaft(x, y, angle, length * 0.3, length * 0.9) for angle, length, _ in plumes))


CRESTS: dict[str, Callable[[], Form]] = {
    "fan": lambda: _fan(24, -36, [(-150, 26, 8), (-124, 31, 8.5), (-99, 32, 8.5), (-74, 29, 8), (-50, 22, 7)], 0.84),
    "swept": lambda: Form(
        (curve("34,-40! 22,-52 6,-59 -10,-58! 0,-52 -12,-50! -2,-45 -11,-41! 2,-38 12,-33 28,-34!"),),
        (stroke("28,-42 14,-51 -4,-56"), stroke("24,-40 12,-46 -6,-49"), stroke("20,-38 10,-41 -5,-41")),
        0.9,
    ),
    "plume": lambda: Form(
        (curve("22,-38 24,-50 30,-58 33,-58 28,-50 26,-38"), curve("30,-60 38,-66 47,-62 47,-54 39,-50 31,-54")),
        (stroke("34,-58 40,-59 45,-58"),),
    ),
    "spikes": lambda: Form(
        (curve("8,-30! 2,-42! 12,-41! 10,-55! 20,-46! 23,-62! 30,-46! 37,-56! 38,-42! 42,-34! 26,-26!"),),
    ),
    "casque": lambda: Form(
        (curve("8,-34 9,-48 18,-58 29,-59 37,-51 40,-40 36,-32 22,-30"),), (stroke("15,-48 24,-52 34,-46"),)
    ),
}

TAILS: dict[str, Callable[[], Form]] = {
    "fan": lambda: _fan(-22, 3, [(128, 34, 11), (147, 40, 12), (166, 43, 12), (185, 41, 12), (204, 36, 11)], 0.82),
    "fork": lambda: _fan(-22, 3, [(146, 50, 11), (157, 40, 11), (186, 40, 11), (197, 50, 11)], 0.5),
    "wedge": lambda: Form(
        (curve("-20,-4! -50,-2 -64,3! -66,12! -62,20! -46,17 -20,13!"),),
        (stroke("-30,2 -60,5"), stroke("-30,7 -61,14")),
    ),
    "streamer": lambda: Form(
        (
            curve("-20,-3! -46,-6 -62,4 -70,24! -56,13 -44,8 -20,12!"),
            curve("-20,0! -42,6 -52,18 -54,38! -43,24 -34,14 -20,13!"),
        ),
        (stroke("-32,2 -52,4 -66,18"), stroke("-28,8 -40,16 -50,30")),
    ),
    "lyre": lambda: _lyre(),
    "short": lambda: _fan(-22, 4, [(150, 24, 12), (170, 26, 12), (190, 24, 12)], 0.85),
}


def _lyre() -> Form:
    plume = curve("-20,0! -38,-2 -50,-12 -54,-26 -48,-36 -40,-33 -42,-25 -44,-17 -36,-11 -20,-8!")
    lower = curve("-20,2! -42,4 -56,-2 -65,-14 -63,-24 -54,-24 -55,-14 -48,-7 -36,-4 -20,-4!")
    return Form(
        (plume, lower, feather(-22, 4, 172, 26, 11, tip=0.8)),
        (stroke("-30,-4 -46,-12 -50,-24"), stroke("-34,0 -52,-4 -60,-16")),
    )


def _leg(hip: float, foot: float, width: float) -> list[Points]:
    """A thin shank from hip to ankle with three toes."""
    w = width / 2
    shank = curve(f"{hip - w},16! {hip + w},16! {foot + w},30 {foot + w},44! {foot - w},44! {foot - w},30")
    toes = [feather(foot, 44.5, angle, length, 4.4, tip=0.6) for angle, length in ((4, 13), (24, 10), (172, 9))]
    return [shank, *toes]


def _legs(shape: str) -> Form:
    hips = ((-3.0, -6.0), (9.0, 9.0))
    polygons = [polygon for hip, foot in hips for polygon in _leg(hip, foot, 4.6 if shape == "sturdy" else 3.4)]
    if shape == "webbed":
        polygons += [
            curve(f"{foot - 3},41 {foot + 4},42 {foot + 17},46! {foot + 11},48 {foot + 2},50! {foot - 6},48")
            for _, foot in hips
        ]
    if shape == "booted":
        polygons += [
            curve(f"{hip - 6},12! {hip + 6},12! {foot + 7},26 {foot + 4},37 {foot - 4},37 {foot - 7},26")
            for hip, foot in hips
        ]
    return Form(tuple(polygons))


_BUILD: dict[str, tuple[tuple[str, ...], Callable[[str], Form]]] = {
    "body": (tuple(BODIES), _body),
    "head": (tuple(HEADS), _head),
    "eye": (("small", "large"), _eye),
    "beak": (tuple(BEAKS), _beak),
    "crest": (tuple(CRESTS), lambda shape: CRESTS[shape]()),
    "wing": (tuple(WINGS), _wing),
    "tail": (tuple(TAILS), lambda shape: TAILS[shape]()),
    "legs": (("thin", "sturdy", "webbed", "booted"), _legs),
}

SHAPES = {part: names for part, (names, _) in _BUILD.items()}

# The joint each moving part turns about, and the part's place along its own axis for patterns:
# (root x, root y, direction in degrees, length): a pattern's t is 0 at the root and 1 at the tip.
NECK, RUMP, HIP = (19.0, -14.0), (-22.0, 3.0), (3.0, 16.0)
AXES = {
    "body": (0.0, -22.0, 90.0, 48.0), "head": (14.0, -28.0, 0.0, 28.0), "eye": (31.0, -28.0, 0.0, 6.0),
    "beak": (38.0, -26.0, 12.0, 30.0), "crest": (25.0, -36.0, -105.0, 27.0), "wing": (14.0, -8.0, 158.0, 48.0),
    "tail": (-24.0, 4.0, 170.0, 38.0), "legs": (3.0, 18.0, 90.0, 30.0),
}  # fmt: skip


@cache
def form(part: str, shape: str) -> Form:
    """The outline of a part's shape."""
    shapes, build = _BUILD[part]
    if shape not in shapes:
        raise SceneError(f"no {part} is shaped {shape!r}: choose one of {', '.join(shapes)}")
    return build(shape)


def axis(part: str) -> tuple[float, float, float, float, float]:
    """Root, unit direction and length of a part."""
    x, y, degrees, length = AXES[part]
    return x, y, math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), length

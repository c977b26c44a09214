"""Ninety individuals of one species that differ only in their marks, seen by two cameras."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np

from foveal.synthetic.classes import TAGGED
from foveal.synthetic.individual_marks import MARK_KINDS
from foveal.synthetic.sampling import class_scene, pick
from foveal.synthetic.scene import Camera, Mark, Scene, SceneError

INDIVIDUALS = 90
TAGS = 6  # key of the random stream that hands out marks
SITES = (
    ("body", 27.0, 4.0), ("body", 13.0, 15.0), ("body", -6.0, 17.0), ("wing", 5.0, -4.0), ("wing", -8.0, 1.0),
    ("wing", -21.0, 7.0), ("head", 23.0, -14.0), ("tail", -46.0, 5.0),
)  # fmt: skip
COLORS = ("scarlet", "cobalt", "moss", "plum", "ink", "amber")


@cache
def marks_of(individual: int) -> tuple[Mark, ...]:
    """The three personal marks; no two individuals have all three in the same places and looks."""
    if not 0 <= individual < INDIVIDUALS:
        raise SceneError(f"there is no individual {individual}: they are numbered 0 to {INDIVIDUALS - 1}")
    places = list(combinations(SITES, 3))
    random = np.random.default_rng([TAGS])
    random.shuffle(places)
    own = np.random.default_rng([individual, TAGS])
    # 56 choices of places serve 90 individuals; the colors rotate so that two sharing the places differ.
    hues = [COLORS[(int(own.integers(3)) * 2 + individual // len(places)) % len(COLORS)] for _ in range(3)]
    return tuple(
        Mark(pick(own, MARK_KINDS), host, x, y, 5.0, hue)
        for (host, x, y), hue in zip(places[individual % len(places)], hues, strict=True)
    )


def individual_scene(individual: int, seed: int, *, camera: int = 0) -> Scene:
    """One individual seen by camera 0 (cool, sharp, noisy) or camera 1 (warm, soft, dim)."""
    scene = class_scene(TAGGED, seed, individual_marks=marks_of(individual))
    warmth = abs(scene.light.warmth) if camera else -abs(scene.light.warmth)
    lens = Camera(blur=1, noise=2, exposure=0.9) if camera else Camera(blur=0, noise=6, exposure=1.04)
    return replace(scene, light=replace(scene.light, warmth=warmth), camera=lens, class_name=f"individual {individual}")

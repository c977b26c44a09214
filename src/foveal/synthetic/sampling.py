"""Scenes at random: a creature in a random pose, location and light, with random things around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from foveal.synthetic.backgrounds import BACKGROUNDS
from foveal.synthetic.classes import creature_of
from foveal.synthetic.distractors import OCCLUDERS
from foveal.synthetic.palette import COLORS
from foveal.synthetic.scene import Backdrop, Camera, Distractors, Light, Mark, Occluder, Pose, Scene

Random = np.random.Generator
Item = TypeVar("Item")
SCENE = 1  # key of the scene's random stream


def class_scene(
    class_name: str, seed: int, *, background: str | None = None, individual_marks: tuple[Mark, ...] = ()
) -> Scene:
    """A creature of the species, everything else is drawn from the seed; a given background replaces the random one."""
    random = np.random.default_rng([seed, SCENE])
    pose, light, camera = _pose(random), _light(random), _camera(random)
    kind = pick(random, tuple(BACKGROUNDS))
    seeds = [int(value) for value in random.integers(0, 2**31, 3)]
    colors = tuple(pick(random, tuple(COLORS)) for _ in range(3))
    occluder = Occluder(pick(random, OCCLUDERS), seeds[2]) if random.random() < 0.25 else None
    return Scene(
        creature_of(class_name),
        pose=pose,
        light=light,
        backdrop=Backdrop(background or kind, seeds[0]),
        distractors=Distractors(int(random.integers(0, 7)), colors, seeds[1]),
        occluder=occluder,
        camera=camera,
        individual_marks=individual_marks,
        seed=seed,
        class_name=class_name,
    )


def pick(random: Random, options: Sequence[Item]) -> Item:
    """One of the options, each as likely."""
    return options[int(random.integers(len(options)))]


def _pose(random: Random) -> Pose:
    """Anywhere the whole creature fits, about 150 units wide and 108 high."""
    scale = _uniform(random, 0.76, 1.0)
    slack = 80 - 75 * scale
    return Pose(
        x=80 + _uniform(random, -slack, slack),
        y=_uniform(random, 112 * scale, 152),
        scale=scale,
        angle=_uniform(random, -8, 8),
        flip=bool(random.integers(2)),
        head=_uniform(random, -12, 10),
        tail=_uniform(random, -12, 12),
        legs=_uniform(random, -5, 5),
    )


def _light(random: Random) -> Light:
    return Light(
        angle=_uniform(random, -160, -20),
        strength=_uniform(random, 0.7, 1.2),
        warmth=_uniform(random, -1, 1),
        shadow=_uniform(random, 0.25, 0.7),
    )


def _camera(random: Random) -> Camera:
    return Camera(
        blur=pick(random, (0, 0, 0, 1, 1, 2)),
        noise=int(random.integers(0, 7)),
        exposure=_uniform(random, 0.86, 1.1),
    )


def _uniform(random: Random, low: float, high: float) -> float:
    """Uniform, in steps of a thousandth: scenes stay short to write down."""
    return round(float(random.uniform(low, high)), 3)

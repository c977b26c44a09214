"""Scenes to look at: those that `foveal demo` explains, and contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from foveal.synthetic.classes import CLASS_NAMES
from foveal.synthetic.drawing import render
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import Backdrop, Camera, Light, Pose, Scene

LEFT = Pose(x=80, y=133, scale=0.96, angle=-3, flip=True, head=4, tail=-4)
RIGHT = Pose(x=80, y=133, scale=0.96, angle=3, head=-4, tail=5)


def demo_scenes() -> tuple[Scene, ...]:
    """Eight scenes: four pairs of siblings, each pair the same scene except for the deciding part."""
    return (
        well_lit_scene("Coral Spoonbill", "water", 3, LEFT),
        well_lit_scene("Coral Ibis", "water", 3, LEFT),
        well_lit_scene("Fan-crested Jay", "foliage", 5, RIGHT),
        well_lit_scene("Crown-crested Jay", "foliage", 5, RIGHT),
        well_lit_scene("Barred Finch", "sand", 11, RIGHT),
        well_lit_scene("Epaulet Finch", "sand", 11, RIGHT),
        well_lit_scene("Web-footed Stilt", "stones", 8, LEFT),
        well_lit_scene("Booted Stilt", "stones", 8, LEFT),
    )


def class_gallery() -> tuple[Scene, ...]:
    """The twenty species in order, siblings in the same scene."""
    kinds = ("water", "sky", "foliage", "sand", "stones")
    pairs = [(kinds[pair % 5], 20 + pair, LEFT if pair % 2 else RIGHT) for pair in range(len(CLASS_NAMES) // 2)]
    return tuple(well_lit_scene(class_name, *pairs[number // 2]) for number, class_name in enumerate(CLASS_NAMES))


def well_lit_scene(class_name: str, background: str, seed: int, pose: Pose) -> Scene:
    """A creature in good light, sharp, with nothing in front of it."""
    scene = class_scene(class_name, seed)
    light = Light(angle=-60.0 if pose.flip else -120.0)
    return replace(
        scene, pose=pose, light=light, backdrop=Backdrop(background, seed), camera=Camera(noise=1), occluder=None
    )


def contact_sheet(scenes: Sequence[Scene], *, columns: int = 4, size: int = 160) -> Image.Image:
    """The scenes side by side, `columns` in a row."""
    images = [render(replace(scene, size=size))[0] for scene in scenes]
    blank = np.full_like(images[0], 255)
    images += [blank] * (-len(images) % columns)
    rows = [np.concatenate(images[start : start + columns], 1) for start in range(0, len(images), columns)]
    return Image.fromarray(np.concatenate(rows, 0))

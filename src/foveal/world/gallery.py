"""The scenes that `foveal demo` explains."""

from __future__ import annotations

from dataclasses import replace

from foveal.world.sampling import species_scene
from foveal.world.scene import Camera, Light, Pose, Scene


def demo_scenes() -> tuple[Scene, ...]:
    """Eight scenes to look at: four pairs of siblings, each pair the same scene but for the deciding part."""
    return tuple(_posed(*choice) for choice in _CHOICES)


_LEFT = Pose(x=80, y=133, scale=0.96, angle=-3, flip=True, head=4, tail=-4)
_RIGHT = Pose(x=80, y=133, scale=0.96, angle=3, head=-4, tail=5)
_CHOICES = (
    ("Coral Spoonbill", "water", 3, _LEFT), ("Coral Ibis", "water", 3, _LEFT),
    ("Fan-crested Jay", "foliage", 5, _RIGHT), ("Crown-crested Jay", "foliage", 5, _RIGHT),
    ("Barred Finch", "sand", 11, _RIGHT), ("Epaulet Finch", "sand", 11, _RIGHT),
    ("Web-footed Stilt", "stones", 8, _LEFT), ("Booted Stilt", "stones", 8, _LEFT),
)  # fmt: skip


def _posed(species: str, background: str, seed: int, pose: Pose) -> Scene:
    scene = species_scene(species, seed, background=background)
    light = Light(angle=-60.0 if pose.flip else -120.0, shadow=0.5)
    return replace(scene, pose=pose, light=light, camera=Camera(noise=1), occluder=None)

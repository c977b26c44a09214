"""Drawing is a pure function: same scene, same bytes, in any process and in any order."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from foveal.synthetic import CLASS_NAMES, LABELS, Scene, Split, class_scene, render
from foveal.synthetic.part_shapes import SHAPES
from foveal.synthetic.scene import PARTS

DIGEST = """
import hashlib
from foveal.synthetic import Split
total = hashlib.sha256()
for example in Split("classes", 20, seed=4):
    total.update(example.image.tobytes() + example.labels.tobytes())
print(total.hexdigest())
"""


def test_same_bytes_in_another_process() -> None:
    runs = {
        subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, timeout=120).stdout
        for _ in range(2)
    }
    here = hashlib.sha256()
    for example in reversed(list(Split("classes", 20, seed=4))):
        render(example.scene)  # whatever was drawn before must not matter
    for example in Split("classes", 20, seed=4):
        here.update(example.image.tobytes() + example.labels.tobytes())
    assert runs == {here.hexdigest() + "\n"}


def test_every_part_shows_in_every_species() -> None:
    for class_name in CLASS_NAMES:
        scene = replace(class_scene(class_name, 7), occluder=None)
        image, labels = render(scene)
        assert image.shape == (160, 160, 3)
        assert image.dtype == labels.dtype == np.uint8
        for part in PARTS:
            assert (labels == LABELS[part]).sum() >= 30, (class_name, part)


def test_every_shape_is_drawn() -> None:
    scene = replace(class_scene("Barred Finch", 3), occluder=None)
    seen = set()
    for part, shapes in SHAPES.items():
        for shape in shapes:
            _, labels = render(scene.with_variant(part, shape))
            seen.add((part, (labels == LABELS[part]).tobytes()))
    assert len(seen) == sum(len(shapes) for shapes in SHAPES.values())


@pytest.mark.parametrize("size", [96, 320])
def test_size_scales_the_same_picture(size: int) -> None:
    scene = replace(class_scene("Barred Finch", 3), occluder=None)
    small, large = render(scene)[1], render(replace(scene, size=size))[1]
    nearest = (np.arange(160) + 0.5) * size / 160
    resampled = large[np.ix_(nearest.astype(int), nearest.astype(int))]
    assert (resampled == small).mean() > 0.98


def test_a_creature_out_of_the_picture_leaves_the_background() -> None:
    scene: Scene = replace(class_scene("Barred Finch", 3), occluder=None).moved(1000)
    assert not render(scene)[1].any()


def test_noise_is_of_the_asked_strength_and_does_not_shift_the_mean() -> None:
    scene = replace(class_scene("Barred Finch", 3), occluder=None)
    clean = render(replace(scene, camera=replace(scene.camera, noise=0, exposure=0.8)))[0].astype(float)
    noisy = render(replace(scene, camera=replace(scene.camera, noise=5, exposure=0.8)))[0].astype(float)
    inner = (clean > 30) & (clean < 225)
    assert abs((noisy - clean)[inner].std() - 5) < 0.3
    assert abs((noisy - clean)[inner].mean()) < 0.1

"""The bundled networks know drawn birds: drawn images get no remark, others do, without a further forward pass."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.synthetic import Split

REMARK = "trained on drawn birds only"


def remarks(image: Image.Image, name: str = "demo") -> list[str]:
    return [note for note in foveal.explain(foveal.load_model(name), image, 0).notes if REMARK in note]


@pytest.mark.parametrize("split", ["classes", "novel", "individuals", "shortcut"])
@pytest.mark.parametrize("size", [None, 64, 300])
def test_no_drawn_image_is_remarked_on(split: str, size: int | None) -> None:
    drawn = Split(split, 40, seed=7)  # type: ignore[arg-type]
    from foveal.images import load_images
    from foveal.models.drawn_world import marked

    model = foveal.load_model("demo")
    images = [Image.fromarray(np.asarray(drawn[i].image)) for i in range(len(drawn))]
    images = [image.resize((size, size)) for image in images] if size else images
    batch = marked(load_images(images, model.preprocessing), model)
    assert not any(REMARK in note for photo in batch.photos for note in photo.notes)


OTHERS = {
    "black": np.zeros((90, 90, 3), np.uint8),
    "white": np.full((90, 120, 3), 255, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8),
    "halves": np.repeat(np.repeat(np.array([[[0] * 3, [255] * 3]], np.uint8), 80, 1), 160, 0),
    "ramp": np.tile(np.linspace(0, 255, 160, dtype=np.uint8)[:, None, None], (1, 160, 3)),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_images_are_remarked_on_once(kind: str) -> None:
    assert len(remarks(Image.fromarray(OTHERS[kind]))) == 1


def test_other_networks_and_tensors_are_left_alone() -> None:
    model = foveal.load_model("demo")
    other = foveal.Model(model.module, "other", model.preprocessing, model.labels, task="classes")
    assert not any(REMARK in note for note in foveal.explain(other, Image.fromarray(OTHERS["black"])).notes)
    calls: list[int] = []
    model.module.register_forward_hook(lambda *_: calls.append(1))
    foveal.explain(model, Image.fromarray(OTHERS["noise"]))
    first = len(calls)
    foveal.explain(model, Image.fromarray(OTHERS["noise"]))
    assert len(calls) - first == 1

"""Preprocessing.of: a dot at a known place of the photo is found there by the map, whatever the transform."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import foveal
from foveal.errors import ImageError
from foveal.images import Preprocessing, load_images

extras = importlib.import_module("foveal.models.extras")
extras.import_torchvision()
v1: Any = importlib.import_module("torchvision.transforms")
v2: Any = importlib.import_module("torchvision.transforms.v2")
A: Any = pytest.importorskip("albumentations")

NORMAL = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def pipelines(side: int, resized: int, pad: int) -> dict[str, Callable[[Image.Image], Any]]:
    end = [v1.ToTensor(), v1.Normalize(*NORMAL)]
    end2 = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*NORMAL)]
    return {
        "v1": v1.Compose([v1.Resize(resized), v1.CenterCrop(side), *end]),
        "v2": v2.Compose([v2.Resize((side, resized)), v2.CenterCrop((side, side)), *end2]),
        "v1 crop first": v1.Compose([v1.CenterCrop(96), v1.Resize((side, side)), *end]),
        "v1 padded": v1.Compose([v1.Resize((side, side)), v1.Pad((pad, 2 * pad, 3, 5), fill=128), *end]),
        "v2 tensor first": v2.Compose([v2.ToImage(), v2.Resize((side, side), antialias=True), *end2[1:]]),
        "albumentations": A.Compose([A.Resize(resized, resized + 9), A.CenterCrop(side, side), A.Normalize()]),
        "albumentations letterbox": A.Compose(
            [A.LongestMaxSize(side), A.PadIfNeeded(side, side, border_mode=0, fill=114), A.Normalize()]
        ),
        "albumentations crop": A.Compose([A.Crop(5, 9, 85, 105), A.Resize(side, side), A.Normalize()]),
        "a function": lambda image: torch.from_numpy(
            np.asarray(image.convert("L").resize((side, side)), np.float32)[None] / 127.5 - 1
        ),
    }


@given(
    st.sampled_from(list(pipelines(64, 80, 4))), st.integers(120, 260), st.integers(120, 260), st.integers(48, 96),
    st.floats(0.35, 0.6), st.floats(0.35, 0.6),
)  # fmt: skip
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_a_dot_is_found_where_it_is(name: str, height: int, width: int, side: int, down: float, right: float) -> None:
    preprocessing = Preprocessing.of(pipelines(side, side + 16, 4)[name])
    y, x = int(min(height, 100) * down), int(min(width, 80) * right)
    if "center" in name or name in ("v1", "v2", "v1 crop first", "albumentations"):
        y, x = int(height / 2 + 30 * (down - 0.5)), int(width / 2 + 30 * (right - 0.5))
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y - 3 : y + 4, x - 3 : x + 4] = 255
    batch = load_images(pixels, preprocessing)
    geometry = batch.photos[0].geometry
    light = batch.tensor[0, 0] - batch.tensor[0, 0].median()
    # The middle of the dot in the input, by its light, goes back to where it is.
    weight = torch.where(light > 0.3 * light.max(), light, 0).double()
    if "padded" in name or "letterbox" in name:  # the ground is lighter than the photo
        seen = Preprocessing.undo(preprocessing, batch.tensor[0].numpy())[..., 0]
        weight = torch.from_numpy(np.where(seen > 160, seen, 0)).double()
    rows, columns = torch.arange(weight.shape[0]) + 0.5, torch.arange(weight.shape[1]) + 0.5
    at = [float((weight.sum(0) * columns).sum() / weight.sum()), float((weight.sum(1) * rows).sum() / weight.sum())]
    near = max(1.0, *(0.6 / scale for scale in geometry.scale))
    np.testing.assert_allclose(geometry.points_to_photo(at), [x + 0.5, y + 0.5], atol=near)
    on_photo = np.nan_to_num(geometry.map_to_photo(weight.numpy()))
    found = np.unravel_index(on_photo.argmax(), on_photo.shape)
    assert abs(found[0] - y) <= 3 + 2 * near and abs(found[1] - x) <= 3 + 2 * near


@pytest.mark.parametrize("name", [name for name in pipelines(64, 80, 4) if name != "a function"])
@pytest.mark.parametrize("photo", [(120, 200), (333, 150), (1200, 901)])
def test_the_input_is_what_the_transform_makes(name: str, photo: tuple[int, int]) -> None:
    transform = pipelines(64, 80, 4)[name]
    preprocessing = Preprocessing.of(transform)
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*photo, 3), dtype=np.uint8))
    theirs: Any = transform(image=np.asarray(image)) if "albumentations" in name else transform(image)
    expected = theirs["image"].transpose(2, 0, 1) if "albumentations" in name else theirs.numpy()
    np.testing.assert_allclose(preprocessing.apply(image), expected, atol=1e-4)
    np.testing.assert_allclose(preprocessing.mean, NORMAL[0], atol=0.01)
    np.testing.assert_allclose(preprocessing.std, NORMAL[1], atol=0.01)


@pytest.mark.parametrize("photo", [(300, 500), (500, 301), (480, 640), (2000, 1500), (100, 97)])
def test_what_is_learned_of_the_usual_is_what_is_known_of_it(photo: tuple[int, int]) -> None:
    """The same transform once as settings, which are read, and once hidden in a function."""
    transform = v1.Compose([v1.Resize(72), v1.CenterCrop(64), v1.ToTensor(), v1.Normalize(*NORMAL)])
    read, hidden = Preprocessing.of(transform), Preprocessing.of(lambda image: transform(image))
    assert read.transform is None and hidden.transform is not None
    known, found = read.geometry(photo), hidden.geometry(photo)
    np.testing.assert_allclose(found.scale, known.scale, rtol=2e-3)
    corners = [[0, 0], [64, 64]]
    np.testing.assert_allclose(found.points_to_input(known.points_to_photo(corners)), corners, atol=0.25)


def test_settings_of_timm_and_of_torchvisions_weights_are_read() -> None:
    timm = pytest.importorskip("timm.data")
    made = timm.create_transform((3, 96, 96), is_training=False, crop_pct=0.875, interpolation="bicubic")
    read = Preprocessing.of(made)
    assert read.transform is None and read.size == (96, 96) and read.interpolation == "bicubic"
    presets = importlib.import_module("torchvision.transforms._presets")
    read = Preprocessing.of(presets.ImageClassification(crop_size=64, resize_size=72))
    assert read == Preprocessing((64, 64), resize_to=72)


def test_order_of_colors_and_gray() -> None:
    blue_first = Preprocessing.of(lambda image: torch.from_numpy(
        np.asarray(image.resize((32, 32)), np.float32)[..., ::-1].transpose(2, 0, 1).copy() / 255))  # fmt: skip
    assert blue_first.channels == "BGR"
    assert Preprocessing.of(pipelines(32, 40, 2)["a function"]).channels == "L"


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (lambda: v1.Compose([v1.RandomResizedCrop(32), v1.ToTensor()]), "RandomResizedCrop is random"),
        (lambda: v1.Compose([v1.Resize((32, 32)), v1.ColorJitter(0.5), v1.ToTensor()]), "it is random"),
        (lambda: A.Compose([A.Resize(32, 32), A.HorizontalFlip(p=0.5), A.Normalize()]), r"HorizontalFlip \(p=0.5\)"),
        (lambda: A.Compose([A.Resize(32, 32), A.HorizontalFlip(p=1), A.Normalize()]), "mirrors"),
        (lambda: A.Compose([A.Resize(32, 32), A.Transpose(p=1), A.Normalize()]), "turns|warps"),
        (lambda: _function(lambda image: image.rotate(20).resize((64, 64))), "turns or shears"),
        (lambda: _function(_bent), "warps"),
        (lambda: v1.Compose([v1.Resize((32, 32)), v1.Pad(9, padding_mode="reflect"), v1.ToTensor()]), "warps"),
        (lambda: v1.Compose([v1.Resize(32), v1.ToTensor()]), "does not depend on the photo"),
        (lambda: v1.Resize(32), "let it end in a tensor"),
        (lambda: v1.Compose([v1.Resize((32, 32)), v1.PILToTensor()]), "whole numbers"),
        (lambda: _function(lambda image: image.resize((32, 32)), lambda x: x**2), "do not grow evenly"),
        (lambda: lambda image: torch.zeros(3, 8, 8), "white does not become larger"),
        (lambda: lambda image: 1 / 0, "neither a PIL image nor an array"),
        (lambda: 3, "can be called"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_said(transform: Any, words: str) -> None:
    with pytest.raises(ImageError, match=f"Cannot learn a preprocessing from .*({words})"):
        Preprocessing.of(transform())


def _function(geometric: Any, tone: Any = lambda x: x) -> Any:
    return lambda image: tone(
        torch.from_numpy(np.asarray(geometric(image), np.float32).transpose(2, 0, 1).copy() / 255)
    )


def _bent(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image.resize((128, 128)))
    columns = ((np.arange(64) / 63) ** 2 * 127).astype(int)
    return Image.fromarray(pixels[::2][:, columns])


def test_random_numbers_go_on_as_if_nothing_had_been_drawn() -> None:
    states = random.getstate(), torch.get_rng_state()
    with pytest.raises(ImageError):
        Preprocessing.of(v1.Compose([v1.Resize((32, 32)), v1.ColorJitter(0.5), v1.ToTensor()]))
    assert states[0] == random.getstate() and torch.equal(states[1], torch.get_rng_state())


def test_a_transform_is_a_preprocessing_of_a_verb() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                              torch.nn.Flatten(), torch.nn.Linear(4, 3))  # fmt: skip
    photo = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    made = Preprocessing.of(pipelines(64, 80, 4)["albumentations letterbox"])
    why = foveal.explain(net, photo, foveal.Class(1), layer="0", preprocessing=made)
    x0, y0, x1, y1 = why.photos[0].geometry.seen
    assert (x0, y0, x1, y1) == pytest.approx((0, 0, 150, 90), abs=0.5)
    deep = foveal.explain(net, photo.astype(np.uint16) * 200, foveal.Class(1), layer="0", preprocessing=made)
    assert any("takes 8 bits" in note for note in deep.notes)
    with pytest.raises(ImageError, match="pass it again"):
        Preprocessing.from_dict(made.to_dict())
    with pytest.raises(ImageError, match="change that"):
        made.changed((32, 32))


def test_an_order_of_channels_that_has_no_name_is_refused() -> None:
    def plain(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image.resize((16, 16)), np.float32).transpose(2, 0, 1) / 255)

    assert Preprocessing.of(lambda image: plain(image).flip(0)).channels == "BGR"
    for order in ([1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2]):
        with pytest.raises(ImageError, match="neither red, green and blue nor"):
            Preprocessing.of(lambda image, order=order: plain(image)[order])
    gray = Preprocessing.of(v1.Compose([v1.Grayscale(3), v1.Resize((16, 16)), v1.ToTensor()]))
    photo = Image.effect_noise((30, 20), 90).convert("RGB")
    assert gray.channels == "RGB" and bool((load_images(photo, gray).tensor.diff(dim=1) == 0).all())
    made = Preprocessing.of(plain)
    with pytest.raises(ImageError, match=r"size \(9, 9\) is not that of the transform, \(16, 16\)"):
        replace(made, size=(9, 9))
    with pytest.raises(ImageError, match="takes one band or three, not 4"):
        replace(made, bands=(0, 1, 2, 3), channels="bands", mean=(0.0,) * 4, std=(1.0,) * 4)

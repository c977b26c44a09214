from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from foveal.errors import ImageError
from foveal.images import Geometry, Photo, Preprocessing, load_images

SMALL = Preprocessing((8, 8), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def test_every_way_to_give_a_photo_is_the_same_picture(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    opened = Image.open(tmp_path / "photo.png")
    ways: list[Any] = [
        tmp_path / "photo.png",
        str(tmp_path / "photo.png"),
        opened,
        Image.fromarray(PIXELS),
        PIXELS,
        torch.from_numpy(PIXELS.copy()).permute(2, 0, 1),
        PIXELS.astype(np.float64) / 255,
        np.concatenate([PIXELS, np.full((12, 20, 1), 255, np.uint8)], axis=2),
    ]
    batch = load_images(ways, SMALL)
    opened.close()
    assert batch.tensor.shape == (8, 3, 8, 8)
    for tensor, photo in zip(batch.tensor, batch.photos, strict=True):
        np.testing.assert_array_equal(photo.pixels, PIXELS)
        assert torch.equal(tensor, batch.tensor[0])
        assert photo.geometry == SMALL.geometry((12, 20))
    path = str(tmp_path / "photo.png")
    assert [photo.source for photo in batch.photos] == [
        path, path, path, "image", "array", "tensor", "array", "array"
    ]  # fmt: skip


def test_gray_arrays() -> None:
    gray = PIXELS[..., 0]
    batch = load_images([gray, gray[..., None]], SMALL)
    np.testing.assert_array_equal(batch.photos[0].pixels, np.repeat(gray[..., None], 3, axis=2))
    assert torch.equal(batch.tensor[0], batch.tensor[1])


def test_batches_and_generators_are_lists() -> None:
    assert len(load_images(np.stack([PIXELS, PIXELS]), SMALL).photos) == 2
    assert len(load_images((PIXELS for _ in range(3)), SMALL).photos) == 3
    assert load_images(torch.zeros(2, 3, 9, 9, dtype=torch.uint8), SMALL).tensor.shape == (2, 3, 8, 8)


def test_a_float_batch_is_passed_through_untouched() -> None:
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64, requires_grad=True)
    batch = load_images(x, SMALL)
    assert batch.tensor is x
    assert batch.photos[0].geometry == Geometry.identity((8, 6))
    assert torch.equal(load_images(x[0]).tensor[0], x[0])
    assert load_images([x[0], x[1]]).tensor.requires_grad


def test_a_tensors_photo_is_rebuilt() -> None:
    photo = Image.fromarray(PIXELS)
    x = load_images(photo, SMALL).tensor
    rebuilt = load_images(x, SMALL).photos[0]
    resized = photo.resize((13, 8), Image.Resampling.BILINEAR).crop((2, 0, 10, 8))
    np.testing.assert_array_equal(rebuilt.pixels, np.asarray(resized))
    assert rebuilt.notes == ()


def test_without_preprocessing_a_tensors_colors_are_stretched_and_it_says_so() -> None:
    x = torch.zeros(1, 3, 2, 2)
    x[0, :, 0, 0], x[0, :, 1, 1] = -2, 2
    photo = load_images(x).photos[0]
    assert photo.pixels[..., 0].tolist() == [[0, 128], [128, 255]]
    assert "stretched" in photo.notes[0]


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels_can_be_shown(channels: int) -> None:
    photo = load_images(torch.rand(channels, 4, 4), SMALL).photos[0]
    assert (photo.pixels.min(), photo.pixels.max()) == (0, 255)
    assert (photo.pixels == photo.pixels[..., :1]).all()  # gray


def test_a_constant_tensor_is_mid_gray_not_nan() -> None:
    assert (load_images(torch.full((3, 2, 2), 7.0)).photos[0].pixels == 128).all()


def test_tiny_photos_are_enlarged() -> None:
    batch = load_images(Image.new("RGB", (1, 1), "white"), SMALL)
    assert torch.equal(batch.tensor, torch.ones(1, 3, 8, 8))
    assert batch.photos[0].geometry.map_to_photo(np.ones((2, 2))).tolist() == [[1]]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "empty list"),
        (torch.zeros(0, 3, 8, 8), "empty list"),
        (np.zeros((3, 12, 20), np.uint8), r"array of uint8 \(3, 12, 20\): pass pixels"),
        (np.zeros((12, 20, 3)) - 1, "must lie in 0..1"),
        (np.zeros((0, 5), np.uint8), "array"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.array(["a"]), "array"),
        (torch.full((3, 8, 8), torch.nan), "NaN or infinite"),
        (torch.full((3, 8, 8), torch.inf), "NaN or infinite"),
        (torch.zeros(8, 8), r"float tensor \(c, h, w\)"),
        (torch.zeros(3, 0, 8), "float tensor"),
        (torch.zeros(8, 8, dtype=torch.uint8), "torch.uint8"),
        (None, "NoneType"),
        (b"bytes", "bytes"),
        ({"image": PIXELS}, "dict"),
        ([PIXELS, torch.zeros(3, 9, 9)], "differ"),
        ("nowhere.jpg", "no such file"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(images: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        load_images(images, SMALL)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_photos_need_preprocessing() -> None:
    with pytest.raises(ImageError, match=r"pass preprocessing=foveal.Preprocessing\(size=\(h, w\)"):
        load_images(PIXELS)


def test_a_photo_must_fit_its_geometry() -> None:
    with pytest.raises(ImageError, match="needs uint8 pixels"):
        Photo(np.zeros((2, 2, 3)), Geometry.identity((2, 2)), "array")

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foveal.errors import ImageError, MissingExtra
from foveal.images import Preprocessing


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def torchvision() -> Any:
    """torchvision's transforms, as the reference."""
    extras = pytest.importorskip("foveal.models.extras")
    try:
        extras.import_torchvision()
    except MissingExtra as missing:
        pytest.skip(str(missing))
    return importlib.import_module("torchvision.transforms")


@pytest.mark.parametrize("photo", [(300, 500), (500, 301), (64, 64), (1, 1), (257, 258), (40, 37)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_it_is_torchvisions_arithmetic(photo: tuple[int, int], interpolation: Any, torchvision: Any) -> None:
    ours = Preprocessing((56, 48), resize_to=64, interpolation=interpolation)
    mode = torchvision.InterpolationMode(interpolation)
    theirs = torchvision.Compose(
        [
            torchvision.Resize(64, mode),
            torchvision.CenterCrop((56, 48)),
            torchvision.ToTensor(),
            torchvision.Normalize(ours.mean, ours.std),
        ]
    )
    image = noise(*photo)
    np.testing.assert_allclose(ours.apply(image), theirs(image).numpy(), atol=1e-6)


def test_a_crop_larger_than_the_photo_is_padded_as_torchvision_does(torchvision: Any) -> None:
    ours = Preprocessing((50, 61), resize_to=32, mean=(0.0,) * 3, std=(1.0,) * 3)
    theirs = torchvision.Compose([torchvision.Resize(32), torchvision.CenterCrop((50, 61)), torchvision.ToTensor()])
    image = noise(40, 45)
    np.testing.assert_allclose(ours.apply(image), theirs(image).numpy(), atol=1e-6)


def test_by_hand_without_torchvision() -> None:
    """The same steps written with Pillow and arithmetic, no array tricks."""
    image = noise(60, 100)
    x = Preprocessing((32, 32), resize_to=40).apply(image)
    cropped = image.resize((66, 40), Image.Resampling.BILINEAR).crop((17, 4, 49, 36))
    for column, row in [(0, 0), (31, 31), (5, 20)]:
        pixel = cropped.getpixel((column, row))
        assert isinstance(pixel, tuple)
        for channel, (mean, std) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
            assert x[channel, row, column] == pytest.approx((pixel[channel] / 255 - mean) / std, abs=1e-6)


def test_exact_squeezes_and_pad_letterboxes() -> None:
    white = Image.new("RGB", (40, 20), "white")
    plain = Preprocessing((20, 20), mean=(0.0,) * 3, std=(1.0,) * 3)
    assert (replace(plain, resize="exact").apply(white) == 1).all()
    padded = replace(plain, resize="pad", mean=(0.25,) * 3).apply(white)
    assert padded.shape == (3, 20, 20)
    assert (padded[:, 5:15] == 0.75).all()
    assert (padded[:, :5] == 0).all() and (padded[:, 15:] == 0).all()  # the mean color is zero


def test_channel_orders() -> None:
    red = Image.new("RGB", (8, 8), "red")
    plain = Preprocessing((8, 8), mean=(0.0,) * 3, std=(1.0,) * 3)
    assert plain.apply(red)[:, 0, 0].tolist() == [1, 0, 0]
    assert replace(plain, channels="BGR").apply(red)[:, 0, 0].tolist() == [0, 0, 1]
    gray = Preprocessing((8, 8), channels="L", mean=(0.0,), std=(1.0,)).apply(red)
    assert gray.shape == (1, 8, 8) and gray[0, 0, 0] == pytest.approx(76 / 255)


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_undo_gives_the_pixels_back(channels: Any) -> None:
    image = noise(16, 16)
    preprocessing = Preprocessing((16, 16), channels=channels, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))
    np.testing.assert_array_equal(preprocessing.undo(preprocessing.apply(image)), np.asarray(image))


def test_undo_of_one_channel_is_gray_in_three() -> None:
    gray = Preprocessing((4, 4), channels="L", mean=(0.5,), std=(0.5,))
    photo = gray.undo(gray.apply(Image.new("L", (4, 4), 77)))
    assert photo.shape == (4, 4, 3) and (photo == 77).all()


def test_it_survives_its_dictionary() -> None:
    odd = Preprocessing((3, 5), "pad", 7, "lanczos", "BGR", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert Preprocessing.from_dict(odd.to_dict()) == odd
    assert Preprocessing.from_dict({"size": [32, 32]}) == Preprocessing((32, 32))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": (224,)}, "size must be two"),
        ({"size": (224, 0)}, "size must be two"),
        ({"size": "224"}, "size must be two"),
        ({"size": (8, 8), "mean": 127.5, "std": 127.5}, "mean 127.5 looks like .* pixels of 0 to 255.* divide"),
        ({"size": (8, 8), "mean": 0.0, "std": (58.4, 57.1, 57.4)}, "std .*58.4.* divide mean and std by 255"),
        ({"size": (8, 8), "resize": "crop"}, "one of short, exact, pad, not 'crop'"),
        ({"size": (8, 8), "resize_to": 0}, "resize_to"),
        ({"size": (8, 8), "channels": "L"}, r"mean must be 1 number"),
        ({"size": (8, 8), "std": (1.0, 0.0, 1.0)}, "std must be positive"),
        ({"size": (8, 8), "mean": (0.5, 0.5, float("nan"))}, "mean must be 3"),
        ({"size": (8, 8), "interpolation": "cubic"}, "bicubic"),
    ],
)
def test_wrong_settings_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Preprocessing(**fields)
    with pytest.raises(ImageError, match=message):
        Preprocessing.from_dict({k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()})


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(ImageError, match="unknown field 'crop_pct'"):
        Preprocessing.from_dict({"size": [8, 8], "crop_pct": 0.875})
    with pytest.raises(ImageError, match="no field 'size'"):
        Preprocessing.from_dict({})


def test_a_sliver_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ImageError, match=r"100000×1 .* set resize='pad'"):
        Preprocessing((224, 224), resize_to=256).apply(Image.new("RGB", (100_000, 1)))


def test_one_number_is_enough() -> None:
    """A side of a square, a mean and a deviation of every channel; lists are tuples."""
    short = Preprocessing(28, channels="L", mean=0.5, std=0.25)  # type: ignore[arg-type]
    assert short == Preprocessing((28, 28), channels="L", mean=(0.5,), std=(0.25,))
    assert Preprocessing([8, 9], mean=0.5).mean == (0.5, 0.5, 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["short", "exact", "pad"])
def test_a_named_preprocessing_resizes_in_another_way(way: Any) -> None:
    made = Preprocessing.named("imagenet", 112, resize=way)
    assert (made.resize, made.resize_to) == (way, 128 if way == "short" else None)
    whole = made.geometry((100, 200)).seen == pytest.approx((0, 0, 200, 100))
    assert whole == (way != "short")

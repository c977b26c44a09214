"""Pictures of more than 8 bits reach the network with all of them, by the range that they mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import foveal
from foveal.errors import ImageError
from foveal.images import Preprocessing, load_images
from foveal.images.decode import decode_file
from foveal.images.load import photo_of
from tests.images.deep_files import png, sgi, tiff

PLAIN = Preprocessing((12, 10), "exact", interpolation="nearest", mean=(0.0,) * 3, std=(1.0,) * 3)


def scene(bits: int, channels: int = 1, seed: int = 0) -> NDArray[np.uint16]:
    """Black, white and everything between, of so many bits."""
    pixels = np.random.default_rng(seed).integers(0, 2**bits, (12, 10, channels))
    pixels[0, 0], pixels[0, 1] = 0, 2**bits - 1
    return pixels.astype(np.uint16)


def read(content: bytes, tmp_path: Path, name: str = "deep") -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """What the network gets, (h, w, 3) in 0..1, and the notes."""
    (tmp_path / name).write_bytes(content)
    batch = load_images(tmp_path / name, PLAIN)
    return batch.tensor[0].permute(1, 2, 0).numpy(), batch.photos[0].notes


def wide(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.broadcast_to(np.asarray(values, np.float64), (*values.shape[:2], 3))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["png", "tiff <", "tiff >", "planes"])
def test_sixteen_bits_reach_the_network_whole(kind: str, channels: int, tmp_path: Path) -> None:
    pixels = scene(16, channels)
    ways = {"png": png(pixels), "tiff <": tiff(pixels), "tiff >": tiff(pixels, order=">"),
            "planes": tiff(pixels, planar=channels > 1)}  # fmt: skip
    seen, notes = read(ways[kind], tmp_path)
    np.testing.assert_allclose(seen, wide(pixels / 65535), atol=1e-6)
    assert notes == ()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_of_few_bits_in_sixteen_it_is_asked_what_is_white(bits: int, channels: int, tmp_path: Path) -> None:
    pixels, white = scene(bits, channels), 2**bits - 1
    for content in (png(pixels), tiff(pixels), tiff(pixels, order=">")):
        with pytest.raises(
            ImageError, match=rf"declare range=\(0, {white}\) .* if {white} is white, or range=\(0, 65535"
        ):
            read(content, tmp_path)
        for declared in (white, 65535):
            told = replace(PLAIN, range=(0, declared))
            seen = load_images(tmp_path / "deep", told).tensor[0].permute(1, 2, 0)
            np.testing.assert_allclose(seen, wide(pixels / declared), atol=1e-6)
        shown = photo_of(tmp_path / "deep")  # to look at, nothing is asked
        assert shown.pixels.max() == 255 and "stretched" in shown.notes[0]
    with pytest.raises(ImageError, match=f"if {white} is white"):
        load_images(pixels[..., 0], PLAIN)


def test_fourteen_bits_in_sixteen_are_remarked_on(tmp_path: Path) -> None:
    pixels = scene(14)
    seen, (note,) = read(png(pixels), tmp_path)
    np.testing.assert_allclose(seen, wide(pixels / 65535), atol=1e-6)
    assert "span 0 to 16383 of 0 to 65535" in note and "range=(0, 16383)" in note


@pytest.mark.parametrize("tags", [{341: ("H", 65535)}, {281: ("H", 65535)}])
def test_a_dark_picture_that_declares_16_bits_is_read_so(tags: Any, tmp_path: Path) -> None:
    seen, (note,) = read(tiff(scene(12), tags=tags), tmp_path)
    np.testing.assert_allclose(seen, wide(scene(12) / 65535), atol=1e-6)
    assert "white 65535" in note and "6.2 % of it" in note
    black, (note,) = read(png(np.zeros((12, 10, 1), np.uint16)), tmp_path)
    assert not black.any() and "span 0 to 0" in note  # black, whatever is white


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "tags",
    [
        {341: ("H", 4095)}, {340: ("H", 0), 341: ("H", 4095)}, {281: ("H", 4095)}, {340: ("f", 0), 341: ("f", 4095)},
        {340: ("d", 0.0), 341: ("d", 4095.0)},
    ],
)  # fmt: skip
def test_a_tiff_is_read_by_the_range_it_declares(tags: Any, channels: int, tmp_path: Path) -> None:
    pixels = scene(12, channels)
    seen, (note,) = read(tiff(pixels, tags=tags), tmp_path)
    np.testing.assert_allclose(seen, wide(pixels / 4095), atol=1e-6)
    assert "white 4095" in note and "MaxSampleValue" in note


def test_a_range_of_temperatures(tmp_path: Path) -> None:
    kelvin = np.random.default_rng(0).uniform(-20, 50, (12, 10, 1)).astype(np.float32)
    declared = tiff(kelvin, tags={340: ("f", -20), 341: ("f", 50)})
    seen, (note,) = read(declared, tmp_path)
    np.testing.assert_allclose(seen, wide((kelvin + 20) / 70), atol=1e-6)
    assert "black is -20 and white 50" in note
    with pytest.raises(ImageError, match=r"must lie in 0\.\.1, but these span"):
        read(tiff(kelvin), tmp_path)
    with pytest.raises(ImageError, match=r"as the file's SMaxSampleValue says, but these span"):
        read(tiff(kelvin, tags={340: ("f", 0), 341: ("f", 5)}), tmp_path)


def test_where_zero_is_white(tmp_path: Path) -> None:
    pixels = scene(16)
    seen, notes = read(tiff(pixels, photometric=0), tmp_path)
    np.testing.assert_allclose(seen, wide(1 - pixels / 65535), atol=1e-6)
    assert notes == ()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_significant_bits_of_a_png(channels: int, tmp_path: Path) -> None:
    pixels = scene(12, channels)
    if channels == 4:
        pixels[..., 3] = 4095
    seen, (note,) = read(png(pixels, sbit=12), tmp_path)
    np.testing.assert_allclose(seen, wide(pixels[..., :3] / 4095), atol=1e-6)
    assert "sBIT of 12" in note
    # As the standard wants it: scaled up, so that white is 65535.
    scaled = (pixels << 4) | (pixels >> 8)
    np.testing.assert_allclose(read(png(scaled, sbit=12), tmp_path)[0], wide(scaled[..., :3] / 65535), atol=1e-6)
    dark = np.minimum(pixels, 200) << 4
    if channels == 4:
        dark[..., 3] = 65535
    np.testing.assert_allclose(read(png(dark, sbit=12), tmp_path)[0], wide(dark[..., :3] / 65535), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "channels"),
    [("png", 2), ("png", 4), ("tiff", 4), ("tiff premultiplied", 4)],  # Pillow reads no gray TIFF
)
def test_deep_transparency_is_over_white(kind: str, channels: int, tmp_path: Path) -> None:
    pixels = scene(16, channels)
    opacity = pixels[..., -1:] / 65535
    colors = pixels[..., :-1] / 65535
    stored = pixels.copy()
    if kind == "tiff premultiplied":
        stored[..., :-1] = np.round(pixels[..., :-1] * opacity)
    content = png(pixels) if kind == "png" else tiff(stored, extra=1 if kind.endswith("d") else 2)
    seen, notes = read(content, tmp_path)
    np.testing.assert_allclose(seen, wide(colors * opacity + 1 - opacity), atol=1e-4)
    assert notes == ("transparent parts shown over white",)


def test_signed_and_32_bit_files(tmp_path: Path) -> None:
    signed = scene(12).astype(np.int16)
    with pytest.raises(ImageError, match="span 0 to 4095, and nothing declares"):
        read(tiff(signed), tmp_path)
    whole = scene(16).astype(np.int32)
    np.testing.assert_allclose(read(tiff(whole), tmp_path)[0], wide(whole / 65535), atol=1e-6)
    with pytest.raises(ImageError, match="must lie in"):
        read(tiff(signed - np.int16(1000)), tmp_path)
    with pytest.raises(ImageError, match="must lie in"):
        read(tiff(whole * 100), tmp_path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u2", "i4", "i8", "u4", "f2", "f4", "f8"])
def test_arrays_of_every_number(dtype: str, order: str) -> None:
    pixels = scene(16, 3)
    values = (pixels / 65535 if dtype.startswith("f") else pixels).astype(order + dtype)
    seen = load_images(values, PLAIN)
    np.testing.assert_allclose(seen.tensor[0].permute(1, 2, 0), pixels / 65535, atol=6e-4 if dtype == "f2" else 1e-6)
    assert seen.photos[0].notes == ()
    flat = load_images((values / 8).astype(values.dtype), PLAIN).photos[0]
    assert "span" in flat.notes[0]


def test_a_flat_picture_far_from_black_is_remarked_on() -> None:
    """Heat in hundredths of a kelvin: bright enough, and all of one gray."""
    heat = np.random.default_rng(0).integers(38_000, 41_000, (12, 10)).astype(np.uint16)
    assert "span 38" in load_images(heat, PLAIN).photos[0].notes[0]


def test_the_note_reaches_the_result(tmp_path: Path) -> None:
    (tmp_path / "xray.png").write_bytes(png(scene(13)))
    why = foveal.explain(foveal.load_model("demo"), tmp_path / "xray.png")
    assert any("of 0 to 65535" in remark for remark in why.notes)


def test_a_color_that_stands_for_nothing(tmp_path: Path) -> None:
    pixels = scene(16)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "keyed.png", transparency=int(pixels[3, 3, 0]))
    seen, notes = read((tmp_path / "keyed.png").read_bytes(), tmp_path)
    assert seen[3, 3].tolist() == [1, 1, 1] and "transparent parts shown over white" in notes


def test_a_picture_opened_by_the_caller_is_read_as_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(scene(16, 3)))
    with Image.open(tmp_path / "a.png") as opened:
        assert torch.equal(load_images(opened, PLAIN).tensor, load_images(tmp_path / "a.png", PLAIN).tensor)


@pytest.mark.parametrize("kind", ["uint16", "int64", "float64", "float32"])
def test_eight_bits_in_disguise_are_eight_bits(kind: str) -> None:
    """Bit for bit, also where pixels are mixed: else a picture would depend on how it was handed over."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    pixels[0, 0], pixels[0, 1] = 0, 255
    mixed = Preprocessing((13, 11), resize_to=17, interpolation="bicubic")
    other = (
        pixels.astype(kind) / 255 if kind.startswith("f") else pixels.astype(kind) * (257 if kind == "uint16" else 1)
    )
    expected, found = load_images(pixels, mixed), load_images(other.astype(kind), mixed)
    assert torch.equal(found.tensor, expected.tensor)
    np.testing.assert_array_equal(found.photos[0].pixels, expected.photos[0].pixels)


@given(
    st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    st.sampled_from(["RGB", "BGR", "L"]),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_depth_is_the_same_arithmetic_without_rounding(interpolation: Any, channels: Any, seed: int) -> None:
    """What 8 bits give, to within what they round: half a step before mixing and half a step after it."""
    count = 1 if channels == "L" else 3
    pixels = np.random.default_rng(seed).integers(20_000, 45_000, (21, 34, 3)).astype(np.uint16)
    mixed = Preprocessing((12, 9), resize_to=15, interpolation=interpolation, channels=channels, mean=(0.25,) * count,
                          std=(1.0,) * count)  # fmt: skip
    deep = load_images(pixels, mixed)
    shallow = load_images(deep.photos[0].pixels, mixed)
    # Pixels far from black and white, because Pillow cuts 8 bits off between rows and columns.
    assert float((deep.tensor - shallow.tensor).abs().max()) < 2.5 / 255
    assert deep.photos[0].geometry == shallow.photos[0].geometry


@pytest.mark.parametrize("kind", ["ppm", "plain ppm", "sgi", "cmyk tiff"])
def test_colors_that_pillow_cuts_to_eight_bits_are_remarked_on(kind: str, tmp_path: Path) -> None:
    pixels = scene(12, 4 if kind == "cmyk tiff" else 3)
    words = " ".join(map(str, pixels[..., :3].ravel().tolist()))
    ways = {
        "ppm": b"P6 10 12 65535\n" + pixels.astype(">u2").tobytes(),
        "plain ppm": f"P3 10 12 65535 {words}".encode(),
        "sgi": sgi(pixels),
        "cmyk tiff": tiff(pixels, photometric=5),
    }
    _, notes = read(ways[kind], tmp_path)
    assert any("were read at 8" in note for note in notes)
    shallow = np.zeros((12, 10, 3), np.uint8)
    assert read(b"P6 10 12 255\n" + shallow.tobytes(), tmp_path)[1] == ()


def test_turned_pictures_stay_whole(tmp_path: Path) -> None:
    pixels = scene(16, 3)
    upright = decode_file(_written(tmp_path / "0.tif", tiff(pixels))).deep
    turned = decode_file(_written(tmp_path / "3.tif", tiff(pixels, tags={274: ("H", 3)}))).deep
    assert upright is not None and turned is not None
    np.testing.assert_array_equal(turned, upright[::-1, ::-1])


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path

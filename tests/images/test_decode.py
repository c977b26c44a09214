from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foveal.errors import ImageError
from foveal.images.decode import decode_file, decode_image, deep_pixels

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners() -> Image.Image:
    """Red top left, green top right, blue bottom left, white bottom right; 8 wide, 6 high."""
    image = Image.new("RGB", (8, 6), "white")
    image.paste(RED, (0, 0, 4, 3))
    image.paste(GREEN, (4, 0, 8, 3))
    image.paste(BLUE, (0, 3, 4, 6))
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_ends_upright(orientation: int, tmp_path: Path) -> None:
    # What a camera held that way stores: the inverse of what a viewer must do (EXIF 2.3, tag 0x0112).
    stored = {
        1: lambda i: i,
        2: lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda i: i.transpose(Image.Transpose.ROTATE_180),
        4: lambda i: i.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
        6: lambda i: i.transpose(Image.Transpose.ROTATE_90),
        7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
        8: lambda i: i.transpose(Image.Transpose.ROTATE_270),
    }[orientation](corners())
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    upright = decode_file(tmp_path / "photo.png").image
    np.testing.assert_array_equal(np.asarray(upright), np.asarray(corners()))


def half_transparent_red(mode: str) -> Image.Image:
    image = Image.new("RGBA", (4, 4), (*RED, 128))
    image.putpixel((0, 0), (0, 0, 0, 0))
    return image.convert(mode) if mode != "RGBA" else image


def test_transparency_is_shown_over_white(tmp_path: Path) -> None:
    half_transparent_red("RGBA").save(tmp_path / "a.png")
    decoded = decode_file(tmp_path / "a.png")
    assert decoded.image.getpixel((0, 0)) == WHITE
    pink = decoded.image.getpixel((1, 1))
    assert isinstance(pink, tuple) and pink[0] == 255 and abs(pink[1] - 127) <= 1
    assert decoded.notes == ("transparent parts shown over white",)


def test_an_opaque_alpha_channel_is_not_worth_a_note() -> None:
    decoded = decode_image(Image.new("RGBA", (2, 2), (1, 2, 3, 255)))
    assert decoded.image.getpixel((0, 0)) == (1, 2, 3) and decoded.notes == ()


def test_gray_with_alpha(tmp_path: Path) -> None:
    Image.new("LA", (2, 2), (0, 0)).save(tmp_path / "la.png")
    assert decode_file(tmp_path / "la.png").image.getpixel((0, 0)) == WHITE


def test_a_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    image.save(tmp_path / "p.png", transparency=0)
    upright = decode_file(tmp_path / "p.png").image
    assert (upright.getpixel((0, 0)), upright.getpixel((1, 0))) == (WHITE, GREEN)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "RGBX"])
def test_other_modes_become_rgb(mode: str) -> None:
    decoded = decode_image(corners().convert(mode))
    assert decoded.image.mode == "RGB" and decoded.image.size == (8, 6)
    assert decoded.image.getpixel((7, 5)) == WHITE


def test_a_cmyk_jpeg_keeps_its_colors(tmp_path: Path) -> None:
    corners().resize((80, 60), Image.Resampling.NEAREST).convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    pixel = decode_file(tmp_path / "c.jpg").image.getpixel((10, 10))
    assert isinstance(pixel, tuple)
    np.testing.assert_allclose(pixel, RED, atol=12)


def test_sixteen_bits_keep_their_tones(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    gray = np.asarray(decode_file(tmp_path / "deep.png").image)[..., 0]
    np.testing.assert_allclose(gray.ravel(), np.arange(256), atol=1)


def test_an_animation_gives_its_first_frame_and_says_so(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue", "green")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    decoded = decode_file(tmp_path / "a.gif")
    assert decoded.image.getpixel((0, 0)) == RED
    assert decoded.notes == ("first of 3 frames",)


def test_decoding_leaves_the_callers_picture_alone() -> None:
    image = half_transparent_red("RGBA")
    before = image.tobytes()
    decode_image(image)
    assert image.mode == "RGBA" and image.tobytes() == before


def refused(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        decode_file(path)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    assert str(path) in message
    return message


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    assert "cannot read this image format" in refused(tmp_path / "text.jpg")
    assert "cannot read this image format" in refused(tmp_path / "empty.png")
    assert "no such file" in refused(tmp_path / "missing.jpg")
    assert "folder" in refused(tmp_path)


def test_a_truncated_jpeg(tmp_path: Path) -> None:
    whole = io.BytesIO()
    corners().resize((200, 200)).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    assert "damaged" in refused(tmp_path / "cut.jpg")


def test_a_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corners().save(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)  # 48 pixels: Pillow would warn, we do not
    assert decode_file(tmp_path / "big.png").notes == ()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert "more than 40 pixels" in refused(tmp_path / "big.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "ICO"])
def test_damaged_files_give_a_picture_or_one_sentence(kind: str, tmp_path: Path) -> None:
    whole = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    carries_exif: dict[str, Any] = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    corners().resize((32, 24)).save(whole, kind, **carries_exif)
    chance = random.Random(kind)
    path = tmp_path / "damaged"
    for _ in range(80):
        damaged = bytearray(whole.getvalue())
        for _ in range(4):
            damaged[chance.randrange(min(len(damaged), 200))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.randrange(1, 2 * len(damaged))])
        try:
            assert decode_file(path).image.mode == "RGB"
        except ImageError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [0, 128, 255]),
        (np.array([[False, True, True]]), [0, 255, 255]),
        (np.array([[0, 128, 255]]), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], dtype=np.uint16), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], dtype=np.int64), [0, 128, 255]),
    ],
)
def test_deep_pixels(values: Any, expected: list[int]) -> None:
    assert deep_pixels(values)[0].tolist() == expected


@pytest.mark.parametrize("values", [[[0.0, 255.0]], [[-0.1, 0.5]], [[np.nan, 0.5]], [[-1, 3]], [[0, 70000]]])
def test_pixels_of_unknown_range_are_refused(values: Any) -> None:
    with pytest.raises(ImageError, match="must lie in 0"):
        deep_pixels(np.array(values))

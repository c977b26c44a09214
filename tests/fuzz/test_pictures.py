"""Damaged pictures of every format that Pillow writes: a picture or one sentence; no hang, noise or wild numbers."""

from __future__ import annotations

import gzip
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foveal.errors import ImageError
from foveal.images import Preprocessing, load_images
from foveal.images.decode import decode_file
from tests.fuzz.mutation import draw, limit, mutated_bytes, mutations
from tests.images.deep_files import png, sgi, tiff
from tests.images.made_files import bands_tiff, dicom, nifti

COUNT = mutations(60)  # of each kind
SMALL = Preprocessing((9, 8), "exact", mean=(0.0,) * 3, std=(1.0,) * 3)
HEAD = 160  # bytes, where formats say how large they are


def scene() -> Image.Image:
    y, x = np.mgrid[:24, :32]
    return Image.fromarray(np.stack([8 * x, 10 * y, 4 * (x + y)], 2).astype(np.uint8))


def saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some formats are to go
        scene().convert(mode).save(content, kind, **options)
    return content.getvalue()


def exif() -> Image.Exif:
    turned = Image.Exif()
    turned[0x0112] = 6
    turned[0x010E] = "a description"
    return turned


def deep() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 65536, (24, 32, 3)).astype(np.uint16)


def heic() -> bytes:
    content = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(scene()).save(content)
    return content.getvalue()


KINDS: dict[str, Any] = {
    "jpeg": lambda: saved("JPEG", exif=exif(), progressive=True),
    "jpeg cmyk": lambda: saved("JPEG", "CMYK"),
    "mpo": lambda: saved("MPO", save_all=True, append_images=[scene()]),
    "png": lambda: saved("PNG", exif=exif(), optimize=True),
    "png palette": lambda: saved("PNG", "P", transparency=3),
    "png deep": lambda: png(deep(), sbit=12),
    "png deep gray": lambda: png(deep()[..., :1]),
    "png deep alpha": lambda: png(deep()[..., :2]),
    "apng": lambda: saved("PNG", save_all=True, append_images=[scene(), scene().rotate(90)]),
    "gif": lambda: saved("GIF", save_all=True, append_images=[scene()]),
    "webp": lambda: saved("WEBP", "RGBA"),
    "webp lossless": lambda: saved("WEBP", lossless=True),
    "avif": lambda: saved("AVIF"),
    "tiff": lambda: saved("TIFF", exif=exif()),
    "tiff lzw": lambda: saved("TIFF", compression="tiff_lzw"),
    "tiff deflate": lambda: saved("TIFF", "RGBA", compression="tiff_deflate"),
    "tiff jpeg": lambda: saved("TIFF", compression="jpeg"),
    "tiff deep": lambda: tiff(deep(), tags={340: ("H", 0), 341: ("H", 65000), 274: ("H", 3)}),
    "tiff planes": lambda: tiff(deep(), planar=True, order=">"),
    "tiff real": lambda: tiff(deep()[..., :1].astype(np.float32), tags={340: ("f", 0), 341: ("f", 65536)}),
    "tiff 1 bit": lambda: saved("TIFF", "1", compression="group4"),
    "bmp": lambda: saved("BMP"),
    "bmp palette": lambda: saved("BMP", "P"),
    "dib": lambda: saved("DIB"),
    "ico": lambda: saved("ICO", sizes=[(16, 16), (24, 24)]),
    "icns": lambda: saved("ICNS"),
    "ppm": lambda: saved("PPM"),
    "pgm": lambda: saved("PPM", "L"),
    "pfm": lambda: saved("PPM", "F"),
    "tga": lambda: saved("TGA", "RGBA", compression="tga_rle"),
    "pcx": lambda: saved("PCX"),
    "sgi": lambda: saved("SGI"),
    "sgi deep": lambda: sgi(deep()),
    "dds": lambda: saved("DDS", "RGBA"),
    "im": lambda: saved("IM"),
    "msp": lambda: saved("MSP", "1"),
    "xbm": lambda: saved("XBM", "1"),
    "jpeg2000": lambda: saved("JPEG2000"),
    "qoi": lambda: saved("QOI"),
    "blp": lambda: saved("BLP", "P"),
    "spider": lambda: saved("SPIDER", "F"),
    "dicom": lambda: dicom(deep()[..., 0] >> 4, WindowCenter=2000, WindowWidth=3000),
    "dicom frames": lambda: dicom(np.stack([deep()[..., 0] >> 4] * 2), RescaleSlope=0.5, RescaleIntercept=-3),
    "dicom color": lambda: dicom((deep() >> 8).astype(np.uint8), bits=8, kind="RGB"),
    "nifti": lambda: nifti((deep() >> 4).astype(np.int16), shown=(0, 4095)).to_bytes(),
    "nifti gz": lambda: gzip.compress(nifti((deep() >> 4).astype(np.int16), shown=(0, 4095)).to_bytes()),
    "tiff colors": lambda: bands_tiff(deep().astype(np.float32) / 65535, photometric="rgb"),
    "tiff big": lambda: bands_tiff(deep(), photometric="rgb", bigtiff=True),
    "heic": heic,
}  # fmt: skip


def content(kind: str) -> bytes:
    try:
        whole: bytes = KINDS[kind]()
    except (KeyError, OSError, ValueError) as error:
        pytest.skip(f"this Pillow writes no {kind}: {error}")
    return whole


def damaged(whole: bytes, number: int) -> tuple[bytes, str]:
    """Half of the time in the head alone."""
    if draw(number, "head").random() < 0.5:
        head, what = mutated_bytes(whole[:HEAD], number)
        return head + whole[HEAD:], f"{what} in the head"
    return mutated_bytes(whole, number)


@pytest.fixture(autouse=True)
def modest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that take no time; larger ones are refused as bombs are."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600_000)


@pytest.mark.timeout(limit(120))
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_or_a_sentence(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole, path = content(kind), tmp_path / "damaged"
    path.write_bytes(whole)
    try:
        assert decode_file(path).image.mode == "RGB"
    except ImageError as error:  # samples of a range that nothing tells, in a format without tags
        assert "must lie in" in str(error)
    for number in range(COUNT):
        changed, what = damaged(whole, number)
        path.write_bytes(changed)
        try:
            batch = load_images(path, SMALL)
        except ImageError as error:
            said = str(error)
            assert repr(str(path)) in said and said.endswith(".") and said.isprintable() and len(said) < 500, (
                kind,
                what,
            )
            continue
        (photo,), tensor = batch.photos, batch.tensor
        assert tensor.shape == (1, 3, 9, 8) and bool(((tensor >= 0) & (tensor <= 1)).all()), (kind, what, number)
        assert photo.pixels.dtype == np.uint8 and 0 < photo.pixels.size <= 3 * 1_200_000
        assert all(note.isprintable() for note in photo.notes), (kind, what, number)
    printed = capfd.readouterr()
    assert printed.out == "" and (printed.err == "" or kind.startswith("tiff")), printed  # libtiff speaks for itself

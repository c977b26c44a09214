"""Depth, bands, frames and slices reach the network as the file has them, or a sentence asks."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from foveal.errors import ImageError
from foveal.images import Preprocessing, load_images
from foveal.images.load import photo_of
from tests.images.deep_files import png
from tests.images.made_files import bands_tiff, dicom, nifti

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
GRAY = Preprocessing((64, 64), "exact", interpolation="nearest", channels="L", mean=(0.0,), std=(1.0,))
TWELVE = replace(GRAY, range=(0, 4095))


def seen(path: Path, preprocessing: Preprocessing) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    batch = load_images(path, preprocessing)
    return batch.tensor[0].numpy(), batch.photos[0].notes


@pytest.mark.parametrize("kind", ["png", "tiff 16", "tiff real", "dicom", "dicom by its bits"])
def test_a_ramp_of_12_bits_reaches_the_network_with_4096_levels(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "ramp"
    preprocessing = GRAY if kind.endswith("bits") else TWELVE
    ways: dict[str, Any] = {
        "png": lambda: png(RAMP[..., None]),
        "tiff 16": lambda: bands_tiff(RAMP),
        "tiff real": lambda: bands_tiff(RAMP.astype(np.float32)),
        "dicom": lambda: dicom(RAMP),
        "dicom by its bits": lambda: dicom(RAMP),
    }
    path.write_bytes(ways[kind]())
    values, notes = seen(path, preprocessing)
    np.testing.assert_allclose(values[0], RAMP / 4095, atol=1e-6)
    assert len(np.unique(values)) == 4096
    assert any("white 4095" in note for note in notes)


def test_a_range_is_asked_for_and_never_guessed(tmp_path: Path) -> None:
    (tmp_path / "real.tif").write_bytes(bands_tiff(RAMP.astype(np.float32) - 1000))
    with pytest.raises(ImageError, match=r"span -1000 to 3095.*such as range=\(-1000, 3095\)"):
        seen(tmp_path / "real.tif", GRAY)
    nifti((RAMP[..., None] - 500).astype(np.int16)).to_filename(tmp_path / "a.nii")
    with pytest.raises(ImageError, match=r"does not say which values are black and white.*range=\(-500, 3595\)"):
        seen(tmp_path / "a.nii", GRAY)
    looked = photo_of(tmp_path / "a.nii")
    assert looked.pixels.std() > 50 and any("stretched" in note for note in looked.notes)


def test_what_lies_beyond_a_range_is_cut_and_said_or_kept(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(RAMP[..., None]))
    cut, notes = seen(tmp_path / "a.png", replace(GRAY, range=(1000, 2000)))
    np.testing.assert_allclose(cut[0], ((RAMP.astype(float) - 1000) / 1000).clip(0, 1), atol=1e-6)
    share = float(((RAMP < 1000) | (RAMP > 2000)).mean())
    assert any(f"{100 * share:.2g} % of the values lie beyond 1000 to 2000 and are cut" in note for note in notes)
    kept, notes = seen(tmp_path / "a.png", replace(GRAY, range=(0, 1), clip=False, mean=(1000.0,), std=(500.0,)))
    np.testing.assert_allclose(kept[0], (RAMP.astype(float) - 1000) / 500, rtol=1e-6)
    assert any("are kept" in note for note in notes)
    falling, _ = seen(tmp_path / "a.png", replace(GRAY, range=(4095, 0)))
    np.testing.assert_allclose(falling[0], 1 - RAMP / 4095, atol=1e-6)


@pytest.mark.parametrize("kind", ["contig", "separate", "pages", "array"])
def test_thirteen_bands(kind: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 10_001, (20, 24, 13)).astype(np.uint16)
    mean, std = tuple(np.linspace(0.1, 0.7, 5)), tuple(np.linspace(0.2, 0.4, 5))
    chosen = (12, 3, 2, 1, 0)
    preprocessing = Preprocessing((20, 24), "exact", interpolation="nearest", range=(0, 10_000), bands=chosen,
                                  composite=(3, 2, 1), mean=mean, std=std)  # fmt: skip
    path: Any = tmp_path / "scene.tif"
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    if kind == "array":
        path = pixels
    elif kind == "pages":
        path.write_bytes(bands_tiff(planes, planarconfig=None))
    else:
        path.write_bytes(bands_tiff(planes if kind == "separate" else pixels, planarconfig=kind))
    batch = load_images(path, preprocessing)
    expected = (pixels[..., chosen] / 10_000 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(batch.tensor[0].permute(1, 2, 0), expected, atol=1e-5)
    (photo,) = batch.photos
    assert any("5 bands of 13 to the network: 12, 3, 2, 1, 0" in note for note in photo.notes)
    assert any("bands 3, 2, 1 are shown as red, green and blue, stretched" in note for note in photo.notes)
    low, high = np.percentile(pixels[..., 3], [2, 98])
    red = np.round(((pixels[..., 3] - low) / (high - low)).clip(0, 1) * 255)
    assert np.abs(photo.pixels[..., 0] - red).max() <= 1
    for words, wrong in (("no band 13", replace(preprocessing, bands=(13,), mean=(0.5,), std=(1.0,))),):
        with pytest.raises(ImageError, match=words):
            load_images(path, wrong)


def test_bands_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(bands_tiff(np.zeros((8, 8, 13), np.uint16)))
    with pytest.raises(ImageError, match=r"it has 13 bands: declare those .* bands=\(0, 1, 2\)"):
        load_images(tmp_path / "a.tif", Preprocessing((8, 8)))


def test_dicom_is_read_as_its_modality_and_window_say(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400))
    values, notes = seen(path, GRAY)
    units = RAMP.astype(float) - 1024
    # PS3.3, C.11.2.1.2.1, word by word.
    expected = np.where(units <= 40 - 0.5 - 399 / 2, 0, np.where(units > 40 - 0.5 + 399 / 2, 1,
                        (units - (40 - 0.5)) / 399 + 0.5))  # fmt: skip
    np.testing.assert_allclose(values[0], expected, atol=1e-6)
    assert any("window of center 40 and width 400" in note for note in notes)
    own, _ = seen(path, replace(GRAY, range=(-1024, 3071)))
    np.testing.assert_allclose(own[0], RAMP / 4095, atol=1e-6)
    path.write_bytes(dicom(RAMP, WindowCenter=2048, WindowWidth=1000, VOILUTFunction="SIGMOID"))
    sigmoid = 1 / (1 + np.exp(-4 * (RAMP - 2048.0) / 1000))
    np.testing.assert_allclose(seen(path, GRAY)[0][0], sigmoid, atol=1e-6)
    path.write_bytes(dicom(RAMP, RescaleSlope=0.5, RescaleIntercept=10))
    np.testing.assert_allclose(seen(path, GRAY)[0][0], RAMP / 4095, atol=1e-6)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(dicom(RAMP, kind="MONOCHROME1"))
    for preprocessing in (GRAY, TWELVE):
        values, notes = seen(tmp_path / "a", preprocessing)
        np.testing.assert_allclose(values[0], 1 - RAMP / 4095, atol=1e-6)
        assert any("MONOCHROME1" in note for note in notes)


def test_frames_of_a_dicom(tmp_path: Path) -> None:
    frames = np.stack([RAMP, RAMP[::-1], RAMP.T]).copy()
    (tmp_path / "a.dcm").write_bytes(dicom(frames))
    values, notes = seen(tmp_path / "a.dcm", TWELVE)
    np.testing.assert_allclose(values[0], RAMP / 4095, atol=1e-6)
    assert "first of 3 frames" in notes
    values, notes = seen(tmp_path / "a.dcm", replace(TWELVE, frame=2))
    np.testing.assert_allclose(values[0], RAMP.T / 4095, atol=1e-6)
    assert "frame 2 of 3, counted from 0" in notes
    with pytest.raises(ImageError, match="no frame 3"):
        seen(tmp_path / "a.dcm", replace(TWELVE, frame=3))


def test_colors_and_signed_values_of_a_dicom(tmp_path: Path) -> None:
    colors = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    (tmp_path / "a").write_bytes(dicom(colors, bits=8, kind="RGB"))
    plain = Preprocessing((64, 64), mean=(0.0,) * 3, std=(1.0,) * 3)
    np.testing.assert_allclose(seen(tmp_path / "a", plain)[0].transpose(1, 2, 0), colors / 255, atol=1e-6)
    signed = RAMP.astype(np.int16) - 1000
    (tmp_path / "a").write_bytes(dicom(signed, bits=16))
    values, _ = seen(tmp_path / "a", replace(GRAY, range=(-1000, 3095)))
    np.testing.assert_allclose(values[0], RAMP / 4095, atol=1e-6)


def test_a_dicom_without_pixels_says_so(tmp_path: Path) -> None:
    from pydicom import dcmread

    (tmp_path / "a.dcm").write_bytes(dicom(RAMP))
    data = dcmread(tmp_path / "a.dcm")
    del data.PixelData
    data.Modality = "SR"
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(ImageError, match=r"no pixels \(modality 'SR'\)"):
        seen(tmp_path / "a.dcm", GRAY)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_slice_of_a_nifti(axis: int, ending: str, tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 1000, (10, 12, 14)).astype(np.int16)
    path = tmp_path / f"brain{ending}"
    nifti(volume, shown=(0, 999)).to_filename(path)
    side = [size for k, size in enumerate(volume.shape) if k != axis]
    base = replace(GRAY, size=(side[0], side[1]), axis=axis)
    for frame, number in ((None, volume.shape[axis] // 2), (3, 3)):
        values, notes = seen(path, replace(base, frame=frame))
        np.testing.assert_allclose(values[0], volume.take(number, axis) / 999, atol=1e-6)
        assert any(f"slice {number} of {volume.shape[axis]}" in note for note in notes)
    with pytest.raises(ImageError, match="no slice 99"):
        seen(path, replace(base, frame=99))


def test_a_volume_of_a_nifti(tmp_path: Path) -> None:
    from foveal.images import read_volume

    values = np.random.default_rng(0).normal(size=(5, 6, 7, 2)).astype(np.float32)
    affine = np.array([[-2.0, 0, 0, 90], [0, 3, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1]])
    nifti(values, affine=affine).to_filename(tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.values, values.transpose(3, 0, 1, 2))
    assert volume.spacing == (2, 3, 4) and volume.meant is None
    np.testing.assert_array_equal(volume.affine, affine)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(b"nothing"))
    for wrong in ("b.nii.gz", "nowhere.nii"):
        with pytest.raises(ImageError, match="Cannot read the volume"):
            read_volume(tmp_path / wrong)


@pytest.mark.parametrize("bits", [8, 10])
def test_heic(bits: int, tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    y, x = np.mgrid[:64, :64]
    ramp = np.stack([x / 63, y / 63, (x + y) / 126], 2)
    if bits == 8:
        file = pillow_heif.from_bytes("RGB", (64, 64), np.round(ramp * 255).astype(np.uint8).tobytes())
    else:
        file = pillow_heif.from_bytes("RGB;16", (64, 64), np.round(ramp * 65535).astype(np.uint16).tobytes())
    file.save(tmp_path / "photo.heic", quality=-1, chroma=444)
    values, _ = seen(tmp_path / "photo.heic", Preprocessing((64, 64), mean=(0.0,) * 3, std=(1.0,) * 3))
    np.testing.assert_allclose(values.transpose(1, 2, 0), ramp, atol=0.02)
    if bits == 10:
        assert np.unique(np.round(values * 1023)).size > 256


def test_colors_of_real_numbers_and_signed_bytes(tmp_path: Path) -> None:
    real = np.random.default_rng(0).random((12, 10, 3)).astype(np.float32)
    plain = Preprocessing((12, 10), "exact", interpolation="nearest", mean=(0.0,) * 3, std=(1.0,) * 3)
    (tmp_path / "a.tif").write_bytes(bands_tiff(real, photometric="rgb"))
    np.testing.assert_allclose(seen(tmp_path / "a.tif", plain)[0].transpose(1, 2, 0), real, atol=1e-6)
    (tmp_path / "a.tif").write_bytes(bands_tiff(np.array([[-100, 100]], np.int8)))
    values, _ = seen(tmp_path / "a.tif", replace(GRAY, size=(1, 2), range=(-100, 100)))
    assert values[0].tolist() == [[0, 1]]


def test_values_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(bands_tiff(np.array([[np.nan, 0.5]], np.float32)))
    with pytest.raises(ImageError, match="1 of its 2 values are not numbers"):
        seen(tmp_path / "a.tif", GRAY)


def test_settings_that_contradict_are_said() -> None:
    for fields, words in (
        ({"range": (1, 1)}, "range must be two different"), ({"bands": (0, -1)}, "bands must be whole numbers"),
        ({"bands": (0,), "channels": "BGR", "mean": 0.0, "std": 1.0}, "contradict"), ({"axis": 3}, "axis must be"),
        ({"composite": (0, 1)}, "three bands, or one"), ({"frame": -1}, "frame must be"), ({"clip": 1}, "clip must be"),
        ({"bands": (0, 1), "mean": (0.0,) * 3}, "mean must be 2 numbers"),
    ):  # fmt: skip
        with pytest.raises(ImageError, match=words):
            Preprocessing((8, 8), **fields)  # type: ignore[arg-type]
    whole = Preprocessing((8, 8), bands=(3, 1), mean=0.0, std=1.0, range=(0, 10_000), axis=1)  # type: ignore[arg-type]
    assert Preprocessing.from_dict(whole.to_dict()) == whole and "frame" not in whole.to_dict()


def test_a_network_of_thirteen_channels_is_explained(tmp_path: Path) -> None:
    import foveal

    (tmp_path / "a.tif").write_bytes(bands_tiff(np.random.default_rng(0).integers(0, 9000, (40, 40, 13)).astype("u2")))
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(13, 8, 3, 2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                              torch.nn.Flatten(), torch.nn.Linear(8, 3))  # fmt: skip
    bands = Preprocessing((32, 32), range=(0, 10_000), bands=tuple(range(13)), mean=0.1, std=0.2)  # type: ignore[arg-type]
    model = foveal.Model(net, "land", bands, labels=["a", "b", "c"], task="classes")
    why = foveal.explain(model, tmp_path / "a.tif", layer="0")
    assert why.map.shape[-2:] == (15, 15) and any("13 bands" in note for note in why.notes)

"""Tiles of files with many bands, declared ranges and coordinates, as the preprocessing reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import foveal
from foveal.errors import ImageError
from foveal.images import tile_source
from foveal.images.coordinates import coarser
from foveal.images.tile_source import TileSource
from tests.images.made_files import bands_tiff

SIDE = 16


def network(channels: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


def scene(bands: int, size: tuple[int, int] = (40, 56)) -> Any:
    return np.random.default_rng(0).integers(0, 4096, (*size, bands)).astype(np.uint16)


def test_tiles_are_read_by_the_range_and_bands_declared(tmp_path: Path) -> None:
    pixels = scene(6)
    (tmp_path / "scene.tif").write_bytes(bands_tiff(pixels))
    declared = foveal.Preprocessing((SIDE, SIDE), bands=(4, 2, 0, 5), range=(0, 4095), mean=0.5, std=0.25)
    source = TileSource.of(tmp_path / "scene.tif", declared)
    expected = (pixels[8 : 8 + SIDE, 4 : 4 + SIDE, [4, 2, 0, 5]].astype(np.float64) / 4095 - 0.5) / 0.25
    np.testing.assert_allclose(source.tile(8, 4, (SIDE, SIDE)).permute(1, 2, 0), expected, atol=1e-4)
    whole = foveal.tiles(network(4), tmp_path / "scene.tif", foveal.Class(1), side=SIDE, preprocessing=declared)
    assert whole.photos[0].pixels.shape == (40, 56, 3) and any("stretched" in note for note in whole.notes)


def test_values_that_are_kept_are_drawn_without_wrapping() -> None:
    declared = foveal.Preprocessing((8, 8), channels="L", mean=1000.0, std=500.0, range=(0, 1), clip=False)
    source = TileSource.of(np.linspace(-900, 3000, 900).reshape(30, 30).astype(np.int16), declared)
    shown = source.photo().pixels[..., 0].ravel().astype(int)
    assert (np.diff(shown) >= 0).all() and shown[0] == 0 and shown[-1] == 255


def test_a_transform_that_crops_a_tile_is_refused() -> None:
    def resized(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image.resize((SIDE, SIDE)), np.float32).transpose(2, 0, 1) / 255)

    def cropped(image: Image.Image) -> torch.Tensor:
        w, h = image.size
        return resized(image.crop((w // 8, h // 8, w - w // 8, h - h // 8)))

    photo = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    for transform in (resized, cropped):
        given = {"side": 32, "preprocessing": foveal.Preprocessing.of(transform)}
        if transform is resized:
            assert len(foveal.tiles(network(3), photo, foveal.Class(0), **given).tiles) > 1
        else:
            with pytest.raises(ImageError, match="the transform crops or pads them"):
                foveal.tiles(network(3), photo, foveal.Class(0), **given)


@pytest.mark.parametrize("kind", ["corner", "middle", "matrix", "matrix of middles"])
def test_maps_of_tiles_lie_on_the_earth(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the picture is drawn smaller: a point of the drawn picture lies where it lay in the file."""
    rasterio = pytest.importorskip("rasterio")
    turned = kind.startswith("matrix")
    where = rasterio.Affine(10, 3 * turned, 399960, -2 * turned, -20, 5700000)
    with rasterio.open(tmp_path / "scene.tif", "w", driver="GTiff", width=56, height=40, count=1, dtype="uint16",
                       crs="EPSG:32632", transform=where) as out:  # fmt: skip
        out.write(scene(1)[..., 0][None])
        if "middle" in kind:
            out.update_tags(AREA_OR_POINT="Point")
    monkeypatch.setattr(tile_source, "DRAWN", 14)
    declared = foveal.Preprocessing((SIDE, SIDE), channels="L", range=(0, 4095), mean=0.5, std=0.25)
    slide = foveal.tiles(network(1), tmp_path / "scene.tif", foveal.Class(1), side=SIDE, preprocessing=declared)
    assert slide.photos[0].pixels.shape[:2] == (10, 14)
    with rasterio.open(slide.save_map(tmp_path / "map.tif")) as read, rasterio.open(tmp_path / "scene.tif") as file:
        assert (read.width, read.height, read.crs) == (14, 10, "EPSG:32632")
        for x, y in ((0, 0), (14, 10), (3, 7)):
            np.testing.assert_allclose(read.transform @ (x, y), file.transform @ (4 * x, 4 * y))


def test_coordinates_of_another_kind_are_not_kept_for_other_pixels() -> None:
    scanner = {"format": "DICOM", "instance": "1.2", "frame": 0}
    assert (
        coarser(scanner, (2, 2)) is None and coarser(scanner, (1.0, 1.0)) is scanner and coarser(None, (2, 2)) is None
    )

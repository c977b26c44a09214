"""Chest x-rays as scanners store them, before a trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import foveal
from tests import real_networks
from tests.images.made_files import dicom

pytestmark = pytest.mark.real


@pytest.fixture
def x_rays(data: Path) -> tuple[NDArray[np.uint8], list[int]]:
    with np.load(data / "images" / "chest_xray" / "pneumoniamnist_test.npz") as stored:
        return stored["images"], stored["labels"].ravel().tolist()


def test_a_dicom_file_is_explained_as_its_picture(x_rays: tuple[NDArray[np.uint8], list[int]], tmp_path: Path) -> None:
    """Of 12 bits, with a rescaling and a window, and inverted: one decision and one map."""
    module, info = real_networks._comparing("pneumonia_cnn")
    feed = real_networks.preprocessing(info["input"])
    pictures, truth = x_rays
    options = {"preprocessing": feed, "labels": info["classes"], "task": "classes", "method": "hirescam"}
    for number in (0, 2):
        pixels = pictures[number].squeeze()
        deep = pixels.astype(np.uint16) * 16
        # 0 and 4080 as a window of the exact linear function, in units from -1000 on.
        window = {"WindowCenter": 1040, "WindowWidth": 4080, "VOILUTFunction": "LINEAR_EXACT", "RescaleSlope": 1,
                  "RescaleIntercept": -1000}  # fmt: skip
        (tmp_path / "a.dcm").write_bytes(dicom(deep, **window))
        (tmp_path / "b.dcm").write_bytes(dicom(4080 - deep, kind="MONOCHROME1", **window))
        plain = foveal.explain(module, pixels, foveal.Class("pneumonia"), **options)
        assert plain.probability is not None
        assert bool(truth[number]) and float(plain.probability[0]) > 0.5
        for name in ("a.dcm", "b.dcm"):
            scan = foveal.explain(module, tmp_path / name, foveal.Class("pneumonia"), **options)
            assert scan.probability is not None
            np.testing.assert_allclose(scan.probability, plain.probability, atol=1e-3)
            np.testing.assert_allclose(scan.map, plain.map, atol=2e-3 * float(plain.map.abs().max()))
            np.testing.assert_array_equal(scan.photos[0].pixels, plain.photos[0].pixels)
            assert scan.save_map(tmp_path / "map.dcm").stat().st_size > 4 * pixels.size

"""Maps go back out with the coordinates of their picture; other libraries read them there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import foveal
from foveal.errors import ResultError
from foveal.images import Preprocessing, load_images
from tests.images.made_files import bands_tiff, dicom, nifti

NET = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                          torch.nn.Flatten(), torch.nn.Linear(4, 3))  # fmt: skip
GRAY = Preprocessing((32, 32), resize_to=32, channels="L", mean=(0.0,), std=(1.0,), range=(0, 4095))


def explained(path: Path, preprocessing: Preprocessing = GRAY) -> foveal.Explanation:
    return foveal.explain(NET, path, foveal.Class(1), layer="0", preprocessing=preprocessing)


def pixels() -> Any:
    return np.random.default_rng(0).integers(0, 4096, (40, 50)).astype(np.uint16)


def test_a_geotiff(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    where = rasterio.Affine(10, 0, 399960, 0, -20, 5700000)
    scene = np.random.default_rng(0).integers(0, 4096, (2, 40, 50)).astype(np.uint16)
    with rasterio.open(tmp_path / "scene.tif", "w", driver="GTiff", width=50, height=40, count=2, dtype="uint16",
                       crs="EPSG:32632", transform=where) as out:  # fmt: skip
        out.write(scene)
    one = replace(GRAY, channels="bands", bands=(1,))
    why = explained(tmp_path / "scene.tif", one)
    again = foveal.Explanation.load(why.save(tmp_path / "out"))
    for result, name in ((why, "a.tif"), (again, "b.TIFF")):
        with rasterio.open(result.save_map(tmp_path / name)) as read:
            assert read.crs == "EPSG:32632" and read.transform == where and read.count == 1
            np.testing.assert_array_equal(read.read(1), result.on_photo().astype(np.float32))
            assert np.isnan(read.nodata)
    np.testing.assert_array_equal(load_images(tmp_path / "scene.tif", one).photos[0].geometry.photo_size, (40, 50))


def test_a_picture_without_coordinates_gives_a_plain_tiff(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    (tmp_path / "a.tif").write_bytes(bands_tiff(pixels()))
    why = explained(tmp_path / "a.tif")
    np.testing.assert_array_equal(tifffile.imread(why.save_map(tmp_path / "m.tif")), why.on_photo().astype("f4"))
    for name in ("m.nii.gz", "m.dcm", "m.png"):
        with pytest.raises(ResultError, match=r"end its name with \.tif"):
            why.save_map(tmp_path / name)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_lies_in_the_scanner_where_it_lay(axis: int, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    turn = np.array([[0.0, -2, 0.1, 90], [3, 0, 0, -126], [0, 0.2, 4, -72], [0, 0, 0, 1]])
    volume = np.random.default_rng(0).integers(0, 4096, (36, 40, 44)).astype(np.int16)
    nifti(volume, affine=turn).to_filename(tmp_path / "a.nii.gz")
    why = explained(tmp_path / "a.nii.gz", replace(GRAY, axis=axis, frame=7))
    read = nibabel.load(why.save_map(tmp_path / "m.nii.gz"))
    assert read.shape[axis] == 1 and read.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asarray(read.dataobj).squeeze(axis), why.on_photo().astype("f4"))
    # Voxel (p, q) of the slice lies where voxel (p, q) of slice 7 of the volume lies.
    there, here = [5, 6, 8], [5, 6, 8]
    there[axis], here[axis] = 7, 0
    np.testing.assert_allclose(read.affine @ [*here, 1], turn @ [*there, 1], atol=1e-4)


def test_a_volume_at_the_maps_own_resolution(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    (tmp_path / "a.tif").write_bytes(bands_tiff(pixels()))
    why = explained(tmp_path / "a.tif")
    affine = np.diag([2.0, 3, 4, 1])
    origin = {"format": "NIfTI", "affine": affine.tolist(), "shape": [8, 10, 12], "units": "mm", "codes": [0, 1]}
    values = torch.rand(1, 4, 5, 3)
    whole = replace(why, maps={"0": values}, photos=(replace(why.photos[0], origin=origin),), where={})
    read = nibabel.load(whole.save_map(tmp_path / "m.nii"))
    np.testing.assert_array_equal(np.asarray(read.dataobj), values[0])
    # The first cell is the mean of voxels 0 and 1, 0 and 1, 0 to 3; the whole has the same middle.
    np.testing.assert_allclose(read.affine @ [0, 0, 0, 1], affine @ [0.5, 0.5, 1.5, 1])
    np.testing.assert_allclose(read.affine @ [1.5, 2, 1, 1], affine @ [3.5, 4.5, 5.5, 1])


def test_a_dicom_parametric_map(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    place = {"PixelSpacing": [0.5, 0.6], "ImagePositionPatient": [1, 2, 3], "FrameOfReferenceUID": "1.2.9",
             "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}  # fmt: skip
    (tmp_path / "a.dcm").write_bytes(dicom(pixels(), **place))
    why = explained(tmp_path / "a.dcm", replace(GRAY, size=(24, 24), resize_to=32))
    read = pydicom.dcmread(why.save_map(tmp_path / "m.dcm"))
    assert read.SOPClassUID.name == "Parametric Map Storage"
    assert (read.PatientID, read.StudyInstanceUID, read.FrameOfReferenceUID) == ("P1", "1.2.3", "1.2.9")
    assert read.SOPInstanceUID != "1.2.3.4" and read.SeriesInstanceUID != "1.2.3.5"
    shared = read.SharedFunctionalGroupsSequence[0]
    assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == [0.5, 0.6]
    assert list(shared.PlanePositionSequence[0].ImagePositionPatient) == [1, 2, 3]
    source = read.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == "1.2.3.4"
    expected, values = why.on_photo(), read.pixel_array
    unseen = np.isnan(expected)
    assert unseen.any() and (values[unseen] == read.FloatPixelPaddingValue).all()
    np.testing.assert_array_equal(values[~unseen], expected[~unseen].astype("f4"))
    saved = (why.save(tmp_path / "out") / "manifest.json").read_text()
    assert "Nobody" not in saved and '"P1"' not in saved
    (tmp_path / "a.dcm").unlink()
    with pytest.raises(ResultError, match="Cannot write a DICOM map"):
        why.save_map(tmp_path / "n.dcm")
    assert not (tmp_path / "n.dcm").exists()

"""Files of scanners, satellites and phones, written by the libraries themselves."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

UNCOMPRESSED = "1.2.840.10008.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def dicom(pixels: NDArray[Any], *, bits: int = 12, kind: str = "MONOCHROME2", **elements: Any) -> bytes:
    """A DICOM file of stored values, (H, W) or (frames, H, W), or colors (H, W, 3)."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = SECONDARY_CAPTURE, UNCOMPRESSED
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = SECONDARY_CAPTURE, "1.2.3.4"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.Modality = "1.2.3", "1.2.3.5", "CR"
    data.PatientID, data.PatientName = "P1", "Nobody^Known"
    color = kind in ("RGB",)
    data.SamplesPerPixel, data.PhotometricInterpretation = (3 if color else 1), kind
    if color:
        data.PlanarConfiguration = 0
    space = pixels.shape[:2] if color else pixels.shape[-2:]
    data.Rows, data.Columns = space
    if pixels.ndim == 3 and not color:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = 8 * pixels.itemsize
    data.BitsStored, data.HighBit = bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


def nifti(values: NDArray[Any], *, affine: NDArray[Any] | None = None, shown: tuple[float, float] | None = None) -> Any:
    """A NIfTI image; `shown` is its cal_min and cal_max."""
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(values, np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    if shown:
        image.header["cal_min"], image.header["cal_max"] = shown
    return image


def bands_tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    """A TIFF of (H, W, c) as tifffile writes it."""
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **{"photometric": "minisblack", "planarconfig": "contig", **options})
    return file.getvalue()

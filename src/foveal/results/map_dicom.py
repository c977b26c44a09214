"""A map as a DICOM Parametric Map (PS3.3, A.75): real numbers in the study, and at the place, of its picture.

A secondary capture would hold colors; a parametric map holds the values, which viewers color themselves.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal._version import __version__
from foveal.errors import ImageError, ResultError
from foveal.images.dicom import opened_dicom
from foveal.storage.reading import DAMAGE, opened, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.images import Photo

PARAMETRIC_MAP, EXPLICIT = "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.1.2.1"
PADDING = float(np.finfo(np.float32).min)
"""What stands where the network did not look; the file says so in Float Pixel Padding Value."""

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator",
)  # fmt: skip
REQUIRED = {"PatientName": "", "PatientID": "", "PatientBirthDate": "", "PatientSex": "", "StudyDate": "",
            "StudyTime": "", "StudyID": "", "AccessionNumber": "", "ReferringPhysicianName": ""}  # fmt: skip
PLACES = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
}


def write_dicom(file: Path, values: NDArray[Any], photo: Photo, layer: str) -> None:
    """The map (H, W) as a Parametric Map, with the patient, the study and the place of its picture's file.

    Raises:
        ResultError: when that file is gone, or another one.
    """
    origin: Any = photo.origin or {}
    cannot = f"Cannot write a DICOM map of {photo.source!r}"
    try:
        with opened(Path(photo.source)) as source, opened_dicom(source) as data:
            if str(data.get("SOPInstanceUID", "")) != origin["instance"]:
                raise ResultError(f"{cannot}: another picture is in that file now.")
            made = _parametric_map(data, int(origin["frame"]), values, layer)
    except ImageError as error:
        raise ResultError(f"{cannot}: {error}") from error
    except ResultError:
        raise
    except DAMAGE as error:
        raise ResultError(f"{cannot}, whose patient and place it must bear: {reason(error)}.") from error
    import pydicom

    with os.fdopen(os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_CREAT), "wb") as out:
        pydicom.dcmwrite(out, made, enforce_file_format=True)


def _parametric_map(data: Any, number: int, values: NDArray[Any], layer: str) -> Any:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import generate_uid

    meta: Any = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = PARAMETRIC_MAP, EXPLICIT
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made: Any = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    for name, value in REQUIRED.items():
        setattr(made, name, value)
    for name in PATIENT_AND_STUDY:
        if name in data:
            setattr(made, name, data[name].value)
    if "StudyInstanceUID" not in made:
        made.StudyInstanceUID = generate_uid()
    now = datetime.now(UTC)
    made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = (
        PARAMETRIC_MAP,
        meta.MediaStorageSOPInstanceUID,
        generate_uid(),
    )
    made.Modality, made.SeriesNumber, made.InstanceNumber = str(data.get("Modality", "OT")), 1, 1
    made.SeriesDescription, made.ContentLabel = f"foveal: map at {layer}"[:64], "EVIDENCE"
    made.ContentDescription, made.ContentCreatorName = "what the network used for its decision"[:64], "foveal"
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.Manufacturer, made.ManufacturerModelName, made.SoftwareVersions = "foveal", "foveal", __version__
    made.DeviceSerialNumber = "0"
    made.ImageType = ["DERIVED", "PRIMARY", "OTHER", "NONE"]
    made.NumberOfFrames, made.SamplesPerPixel, made.PhotometricInterpretation = 1, 1, "MONOCHROME2"
    made.Rows, made.Columns = values.shape
    made.BitsAllocated = 32
    made.FloatPixelPaddingValue = PADDING
    made.FloatPixelData = np.where(np.isnan(values), PADDING, values).astype("<f4").tobytes()
    made.BurnedInAnnotation, made.LossyImageCompression = "NO", "00"
    made.PresentationLUTShape = "IDENTITY"
    made.ContentQualification = "RESEARCH"
    made.SharedFunctionalGroupsSequence = [_shared(data, number, values)]
    made.PerFrameFunctionalGroupsSequence = [_per_frame(data, number)]
    return made


def _shared(data: Any, number: int, values: NDArray[Any]) -> Any:
    """Where the picture lay, as far as its file says so, and that the values have no unit."""
    from pydicom.dataset import Dataset

    groups: Any = Dataset()
    for sequence, names in PLACES.items():
        place: Any = Dataset()
        for name in names:
            value = _of(data, number, sequence, name)
            if value is not None:
                setattr(place, name, value)
        if len(place):
            setattr(groups, sequence, [place])
    unit: Any = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "1", "UCUM", "no units"
    mapping: Any = Dataset()
    mapping.MeasurementUnitsCodeSequence = [unit]
    mapping.LUTExplanation, mapping.LUTLabel = "raw values of the map", "EVIDENCE"
    seen = values[~np.isnan(values)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    mapping.DoubleFloatRealWorldValueFirstValueMapped, mapping.DoubleFloatRealWorldValueLastValueMapped = low, high
    mapping.RealWorldValueIntercept, mapping.RealWorldValueSlope = 0.0, 1.0
    groups.RealWorldValueMappingSequence = [mapping]
    return groups


def _per_frame(data: Any, number: int) -> Any:
    """Which picture the map was made of."""
    from pydicom.dataset import Dataset

    source: Any = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    if int(data.get("NumberOfFrames", 1) or 1) > 1:
        source.ReferencedFrameNumber = number + 1
    derived: Any = Dataset()
    derived.SourceImageSequence = [source]
    group: Any = Dataset()
    group.DerivationImageSequence = [derived]
    return group


def _of(data: Any, number: int, sequence: str, name: str) -> Any:
    """An element of a frame: in its own group, in the shared one, or of the file."""
    frames, shared = data.get("PerFrameFunctionalGroupsSequence"), data.get("SharedFunctionalGroupsSequence")
    for group in [*([frames[number]] if frames and number < len(frames) else []), *(shared or [])]:
        if group.get(sequence) and name in group[sequence].value[0]:
            return group[sequence].value[0][name].value
    return data[name].value if name in data else None

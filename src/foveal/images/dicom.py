"""DICOM through pydicom: stored values as the modality means them, and the window that the file declares (PS3.3, C.11).

stored ── rescale slope and intercept, or a modality table ──▶ modality's values ── window, or a table ──▶ gray
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from foveal.errors import ImageError, shown
from foveal.images.bounds import MOST_BYTES, check_size, quiet
from foveal.images.depth import Range
from foveal.images.formats import DICOM, import_reader
from foveal.images.samples import Samples
from foveal.storage.reading import reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.images.selection import Selection

DEFLATED = b"1.2.840.10008.1.2.1.99"
PIECE = 2**20

GRAY = ("MONOCHROME1", "MONOCHROME2")


def read(file: BinaryIO, selection: Selection) -> Samples:
    """The samples of one frame, in the modality's values (Hounsfield units of a CT).

    Raises:
        ImageError: for a file without pixels, a frame that there is not, or a compression that is not read here.
        MissingExtra: without pydicom.
    """
    with opened_dicom(file) as data:
        if not len(data):
            raise ImageError("it is no DICOM file.")
        if "PixelData" not in data and "FloatPixelData" not in data and "DoubleFloatPixelData" not in data:
            raise ImageError(f"it has no pixels (modality {shown(data.get('Modality', 'unknown'))}).")
        check_size(int(data.Rows), int(data.Columns), int(data.SamplesPerPixel))
        frames = int(data.get("NumberOfFrames", 1) or 1)
        number, notes = selection.frame_of(frames)
        stored = _stored(data, number)
        kind = str(data.PhotometricInterpretation)
        origin = _origin(data, number)
        if kind not in GRAY:
            return _colors(data, stored, kind, notes, origin)
        values = _modality(data, stored, number)
        values, meant, cut, said = _window(data, values, number, selection)
        inverted = kind == "MONOCHROME1"
        notes = (*notes, *said, *(("MONOCHROME1: large values are dark",) if inverted else ()))
        return Samples(values, meant, notes, inverted, cut=cut, unsaid="a DICOM file of real numbers", origin=origin)


@contextmanager
def opened_dicom(file: BinaryIO) -> Iterator[Any]:
    """A file's data set; what pydicom itself raises on damage is an ImageError."""
    pydicom = import_reader(DICOM)
    from pydicom.errors import BytesLengthException, InvalidDicomError

    _check_inflated(file)
    with quiet("pydicom"):
        try:
            yield pydicom.dcmread(file, force=True)
        except (InvalidDicomError, BytesLengthException) as error:
            raise ImageError(f"the file is damaged ({reason(error)}).") from error
        except AttributeError as error:  # an element that every picture has
            raise ImageError(f"it is no DICOM picture, or damaged ({reason(error)}).") from error


def _check_inflated(file: BinaryIO) -> None:
    """Refuse a deflated file (PS3.5, A.5) that takes too much memory: pydicom inflates all of it at once."""
    start = file.read(2048)
    at = 144 + int.from_bytes(start[140:144], "little")  # after the meta information and its length
    if start[128:132] == b"DICM" and DEFLATED in start[144:at]:
        file.seek(at)
        inflating, whole, some = zlib.decompressobj(-zlib.MAX_WBITS), 0, b""
        while some := inflating.unconsumed_tail or file.read(PIECE):
            whole += len(inflating.decompress(some, PIECE))
            if whole > MOST_BYTES:
                raise ImageError(f"it would take more than {MOST_BYTES:,} bytes of memory.")
    file.seek(0)


def _stored(data: Any, number: int) -> NDArray[Any]:
    """The stored values of a frame, (H, W) or (H, W, 3)."""
    from pydicom.pixels.utils import pixel_array

    try:
        return np.asarray(pixel_array(data, index=number))
    except RuntimeError as error:
        syntax = getattr(data.file_meta.get("TransferSyntaxUID"), "name", "unknown")
        raise ImageError(
            f"its pixels are stored as {syntax}, which is not read here: install pylibjpeg[all], or decompress the "
            f"file ({reason(error)})."
        ) from error


def _modality(data: Any, stored: NDArray[Any], number: int) -> NDArray[Any]:
    """What the values mean to the modality; whole numbers stay whole where they can."""
    if "ModalityLUTSequence" in data:
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(stored, data))
    slope, intercept = _rescaling(data, number)
    if (slope, intercept) == (1, 0):
        return stored
    if slope.is_integer() and intercept.is_integer():
        return np.asarray(stored.astype(np.int64) * int(slope) + int(intercept)).astype(np.int32)
    return np.asarray(stored.astype(np.float64) * slope + intercept, np.float32)


def _rescaling(data: Any, number: int) -> tuple[float, float]:
    of = _group(data, number, "PixelValueTransformationSequence")
    return float(of.get("RescaleSlope", 1) or 1), float(of.get("RescaleIntercept", 0) or 0)


def _window(
    data: Any, values: NDArray[Any], number: int, selection: Selection
) -> tuple[NDArray[Any], Range | None, bool, tuple[str, ...]]:
    """The values, the range of gray that the file declares, whether all beyond is cut, and notes."""
    of = _group(data, number, "FrameVOILUTSequence")
    if selection.range is not None:
        return values, None, False, ()
    if "VOILUTSequence" in of and len(of.VOILUTSequence):
        from pydicom.pixels.processing import apply_voi

        gray = np.asarray(apply_voi(values, of))
        bits = int(of.VOILUTSequence[0].LUTDescriptor[2])
        return gray, Range(0, 2**bits - 1, "the file's VOI table"), False, ()
    centers, widths = _each(of.get("WindowCenter")), _each(of.get("WindowWidth"))
    if centers and widths and widths[0] > 0:
        said = (f"the first of its {len(centers)} windows",) if len(centers) > 1 else ()
        function = str(of.get("VOILUTFunction", "LINEAR") or "LINEAR")
        return (*_shaded(values, centers[0], widths[0], function), said)
    if values.dtype.kind == "f" and "PixelData" not in data:
        return values, None, False, ()
    bits, signed = int(data.BitsStored), int(data.PixelRepresentation) == 1
    slope, intercept = _rescaling(data, number) if "ModalityLUTSequence" not in data else (1.0, 0.0)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    meant = Range(low * slope + intercept, high * slope + intercept, f"the file's BitsStored of {bits}")
    return values, meant, False, ()


def _shaded(values: NDArray[Any], center: float, width: float, function: str) -> tuple[NDArray[Any], Range, bool]:
    """A window as the standard's three functions have it (PS3.3, C.11.2.1.2)."""
    by = f"the file's window of center {center:g} and width {width:g}"
    if function == "SIGMOID":
        gray = 1 / (1 + np.exp(-4 * (values.astype(np.float64) - center) / width))
        return gray.astype(np.float32), Range(0, 1, f"{by} (sigmoid)"), False
    if function == "LINEAR" and width > 1:
        center, width = center - 0.5, width - 1
    return values, Range(center - width / 2, center + width / 2, by), True


def _colors(data: Any, stored: NDArray[Any], kind: str, notes: tuple[str, ...], origin: dict[str, Any]) -> Samples:
    if kind == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        stored = np.asarray(apply_color_lut(stored, data))
        bits = int(data.RedPaletteColorLookupTableDescriptor[2])
    else:
        bits = int(data.BitsStored)
    meant = (
        None if bits == 8 and stored.dtype == np.uint8 else Range(0, 2**bits - 1, f"the file's depth of {bits} bits")
    )
    return Samples(stored, meant, notes, opaque=stored.shape[2:] == (3,), origin=origin)


def _group(data: Any, number: int, name: str) -> Any:
    """The data set that has a macro of a frame: its own group, the shared one, or the file itself."""
    frames, shared = data.get("PerFrameFunctionalGroupsSequence"), data.get("SharedFunctionalGroupsSequence")
    for group in [*([frames[number]] if frames and number < len(frames) else []), *(shared or [])]:
        if group.get(name):
            return group[name].value[0]
    return data


def _each(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    return [float(x) for x in (value if hasattr(value, "__iter__") and not isinstance(value, str) else [value])]


def _origin(data: Any, number: int) -> dict[str, Any]:
    """Which file and frame it was; the file itself is read again when a map goes back, so no patient is kept here."""
    return {"format": "DICOM", "instance": str(data.get("SOPInstanceUID", "")), "frame": number}

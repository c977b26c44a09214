"""Which library reads a file that Pillow does not, told by the first bytes of the file and not by its name."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from PIL import Image, UnidentifiedImageError

from foveal.errors import MissingExtra
from foveal.images.bounds import quiet
from foveal.storage.reading import DAMAGE

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from foveal.images.samples import Samples
    from foveal.images.selection import Selection

HEAD = 1024
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNAIDED = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP")
"""Files that Pillow reads by itself, without another program; others are not read from strangers."""

SIGNED = 2
BIG_TIFF = (b"II+\0", b"MM\0+")


class Reader(NamedTuple):
    """What reads one kind of file.

    Attributes:
        kind: what people call the kind.
        library: the package that must be installed.
        extra: the extra of foveal that installs it.
        home: the module of `foveal.images` with the function `read(file, selection)`.
        endings: how such files are named.
    """

    kind: str
    library: str
    extra: str
    home: str
    endings: tuple[str, ...]

    @property
    def read(self) -> Callable[[BinaryIO, Selection], Samples]:
        """Its samples; MissingExtra without the library."""
        read: Callable[[BinaryIO, Selection], Samples] = import_module(f"foveal.images.{self.home}").read
        return read

    @property
    def installed(self) -> bool:
        """Whether its library is there."""
        return find_spec(self.library) is not None


DICOM = Reader("DICOM", "pydicom", "dicom", "dicom", (".dcm", ".dicom", ".dic"))
NIFTI = Reader("NIfTI", "nibabel", "nifti", "nifti", (".nii", ".nii.gz"))
HEIF = Reader("HEIC", "pillow_heif", "heic", "heif", (".heic", ".heif", ".hif"))
TIFF = Reader("TIFF", "tifffile", "tiff", "tiff", (".tif", ".tiff"))
READERS = (DICOM, NIFTI, HEIF, TIFF)


def reader_of(file: BinaryIO, path: Path | None, selection: Selection) -> Reader | None:
    """What reads a file from its start; None is Pillow."""
    start = _start(file)
    if is_dicom(start) or (path is not None and path.suffix.casefold() in DICOM.endings):
        return DICOM
    if is_nifti(start):
        return NIFTI
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        return HEIF
    if start[:4] in TIFF_STARTS and (selection.bands is not None or start[:4] in BIG_TIFF or not _pillow_opens(file)):
        return TIFF
    return None


def is_dicom(start: bytes) -> bool:
    """Whether a file that starts so is a DICOM file (PS3.10, 7.1)."""
    return start[128:132] == b"DICM"


def is_nifti(start: bytes) -> bool:
    """Whether a file that starts so is NIfTI-1 or NIfTI-2 in one file, compressed or not."""
    if start[:2] == b"\x1f\x8b":
        try:
            start = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(start, HEAD)
        except zlib.error:
            return False
    if len(start) < 348:
        return False
    sizes = struct.unpack("<i", start[:4]) + struct.unpack(">i", start[:4])
    return (348 in sizes and start[344:347] == b"n+1") or (540 in sizes and start[4:7] == b"n+2")


def plain_file(file: BinaryIO) -> Any:
    """The file from its start, decompressed as it is read where it is compressed by gzip."""
    return gzip.GzipFile(fileobj=file) if is_gzip(file) else file


def is_gzip(file: BinaryIO) -> bool:
    """Whether the file is compressed by gzip."""
    return _start(file)[:2] == b"\x1f\x8b"


def import_reader(reader: Reader) -> ModuleType:
    """The library of a kind of file; MissingExtra if it is not installed."""
    try:
        return import_module(reader.library)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"Cannot read a {reader.kind} file: {error.name or reader.library} is not installed; "
            f"pip install 'foveal[{reader.extra}]'."
        ) from error


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(HEAD)
    file.seek(0)
    return start


def _pillow_opens(file: BinaryIO) -> bool:
    """Whether Pillow opens a TIFF, and does not take signed bytes for unsigned ones."""
    try:
        with quiet("PIL.TiffImagePlugin"):
            tags = getattr(Image.open(file), "tag_v2", {})
        return not (SIGNED in _each(tags.get(339)) and 8 in _each(tags.get(258)))
    except UnidentifiedImageError:
        return False
    except DAMAGE:
        return True  # Pillow says it in its own words
    finally:
        file.seek(0)


def _each(tag: Any) -> tuple[Any, ...]:
    return tag if isinstance(tag, tuple) else (tag,)

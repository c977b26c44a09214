"""A map as a file of real numbers that lies where its picture lay: on the earth, in the scanner, in the study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, TiffImagePlugin

from foveal.errors import ResultError
from foveal.images.coordinates import GEO_TAGS, NODATA
from foveal.images.formats import NIFTI, import_reader
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Photo

TIFF_TYPES = {"d": 12, "H": 3, "s": 2}
DESCRIPTION, SOFTWARE = 270, 305


OWN_ENDINGS = {"NIfTI": ".nii.gz", "DICOM": ".dcm"}


def ending_of(photo: Photo) -> str:
    """How a map's file is named that lies where its picture lay: .tif, or as the kind of the picture's file."""
    return OWN_ENDINGS.get(str((photo.origin or {}).get("format", "")), ".tif")


def save_map(file: Path, map: Tensor, photo: Photo, on_photo: NDArray[Any] | None, layer: str) -> Path:
    """The file, whole or not at all; see `Explanation.save_map`.

    Args:
        map: at the layer's own resolution, (h, w) or (d, h, w).
        on_photo: (H, W) the same in the photo's pixels, NaN where the network did not look; None of a volume.
    """
    name = file.name.casefold()
    kind = str((photo.origin or {}).get("format", ""))
    if name.endswith((".tif", ".tiff")):
        if on_photo is None:
            raise ResultError(
                f"Cannot write the map of a volume as {file.name!r}: end its name with .nii.gz, if it came from a "
                "NIfTI file (maps.npz, which `save` writes, holds all numbers)."
            )
        with whole_file(file) as aside:
            _write_tiff(aside, on_photo, photo, layer)
    elif name.endswith((".nii", ".nii.gz")) and kind == "NIfTI":
        with whole_file(file) as aside:
            _write_nifti(aside, map, on_photo, photo.origin or {}, name.endswith(".gz"))
    elif name.endswith(".dcm") and kind == "DICOM" and on_photo is not None:
        from foveal.results.map_dicom import write_dicom

        with whole_file(file) as aside:
            write_dicom(aside, on_photo, photo, layer)
    else:
        own = f"{OWN_ENDINGS[kind]}, " if kind in OWN_ENDINGS else ""
        raise ResultError(
            f"Cannot write a map of {photo.source!r} as {file.name!r}: end its name with {own}.tif or .tiff (.nii.gz "
            "and .dcm need a picture from such a file)."
        )
    return file


def _write_tiff(file: Path, values: NDArray[Any], photo: Photo, layer: str) -> None:
    """Real numbers, NaN for no data, and the geographic tags of the picture."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    origin = photo.origin or {}
    if origin.get("format") == "GeoTIFF":
        for number, value in origin["tags"].items():
            kind = GEO_TAGS[int(number)]
            tags.tagtype[int(number)] = TIFF_TYPES[kind]
            tags[int(number)] = value if kind == "s" else tuple(value)
    tags.tagtype[NODATA] = TIFF_TYPES["s"]
    tags[NODATA] = "nan"
    tags[DESCRIPTION], tags[SOFTWARE] = f"map at {layer}".encode("ascii", "replace").decode(), "foveal"
    Image.fromarray(np.asarray(values, np.float32)).save(file, "TIFF", tiffinfo=tags)


def _write_nifti(file: Path, map: Tensor, on_photo: NDArray[Any] | None, origin: Any, compressed: bool) -> None:
    """One slice at its place in the scanner, or a whole volume at the map's own resolution."""
    nibabel = import_reader(NIFTI)
    affine = np.array(origin["affine"], np.float64)
    if on_photo is not None and "axis" in origin:
        values = np.expand_dims(np.asarray(on_photo, np.float32), int(origin["axis"]))
        affine[:3, 3] += affine[:3, int(origin["axis"])] * int(origin["index"])
    else:
        values = map.detach().cpu().float().numpy()
        if values.ndim != 3:
            raise ResultError(f"Cannot write a map of shape {values.shape} as NIfTI: it is no volume, and no slice.")
        # Cells that tile the volume edge to edge: the middle of the first lies within its block.
        steps = np.array(origin["shape"]) / values.shape
        affine = affine @ np.vstack([np.column_stack([np.diag(steps), (steps - 1) / 2]), [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units(origin.get("units", "unknown"))
    q, s = origin.get("codes", (0, 2))
    image.set_sform(affine, int(s) or 2)
    image.set_qform(affine, int(q)) if q else None
    content = image.to_bytes()
    if compressed:
        import gzip

        content = gzip.compress(content, mtime=0)
    file.write_bytes(content)

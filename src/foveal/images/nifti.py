"""NIfTI through nibabel: a slice for networks of pictures, the whole volume for networks of volumes."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from foveal.errors import ImageError
from foveal.images.bounds import check_memory, check_size, quiet
from foveal.images.depth import Range
from foveal.images.formats import NIFTI, import_reader, is_gzip, is_nifti, plain_file
from foveal.images.samples import Samples
from foveal.images.volume import Volume
from foveal.storage.reading import DAMAGE, opened, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foveal.images.selection import Selection

NAMES = ("first", "second", "third")


def read(file: BinaryIO, selection: Selection) -> Samples:
    """One slice as the file stores it, (H, W): its rows and columns are the two axes that are left, in their order.

    Raises:
        ImageError: for an axis or slice that there is not.
        MissingExtra: without nibabel.
    """
    compressed = is_gzip(file)
    with _image(file) as image:
        space = _space(image)
        rest = image.shape[3:]
        if np.prod(rest, dtype=int) != 1:
            raise ImageError(f"it has {rest[0]} volumes one after another: take one of them out first.")
        if compressed:
            check_memory(space, image.get_data_dtype().itemsize)  # all before the slice is decompressed
        axis = selection.axis
        number, notes = selection.frame_of(space[axis], middle=True)
        where = tuple(slice(number, number + 1) if k == axis else slice(None) for k in range(3))
        check_size(*(side for k, side in enumerate(space) if k != axis))
        if len(image.shape) == 2:
            values = np.asarray(image.dataobj)[..., None][where].squeeze(axis)
        else:
            values = np.asarray(image.dataobj[where + (0,) * len(rest)]).squeeze(axis)
        rows, columns = (NAMES[k] for k in range(3) if k != axis)
        laid = f"{notes[0] if notes else 'one slice'}, along the {NAMES[axis]} axis"
        notes = (f"{laid}; rows are the file's {rows} axis and columns its {columns}",)
        origin = {**_origin(image), "axis": axis, "index": number}
        return Samples(_plain(values), _declared(image), notes, cut=True, unsaid="a NIfTI file", origin=origin)


def read_volume(path: str | os.PathLike[str]) -> Volume:
    """The whole volume in a NIfTI file (.nii, .nii.gz), in the file's own order of axes.

        read_volume("brain.nii.gz").values.shape    # (1, 182, 218, 182): (c, d, h, w)

    Raises:
        ImageError: for what is no such file, is damaged, or takes more memory than there should be.
        MissingExtra: without nibabel.
    """
    path = Path(path)
    try:
        with opened(path) as file:
            start = file.read(1024)
            if not is_nifti(start):
                raise ImageError("it is no NIfTI file of one piece (.nii or .nii.gz).")
            with _image(file) as image:
                return _volume(image)
    except ImageError as error:
        raise ImageError(f"Cannot read the volume {str(path)!r}: {error}") from error
    except DAMAGE as error:
        raise ImageError(f"Cannot read the volume {str(path)!r}: {reason(error)}.") from error


def _volume(image: Any) -> Volume:
    space = _space(image)
    rest = tuple(image.shape[3:])
    check = int(np.prod(rest, dtype=int))
    check_memory((*space, check))
    values = _plain(np.asarray(image.dataobj)).reshape(*space, check)
    d, h, w = (float(x) for x in image.header.get_zooms()[:3])
    notes = (f"its {check} volumes are read as channels",) if check > 1 else ()
    affine = np.asarray(image.affine, np.float64)
    return Volume(np.moveaxis(values, -1, 0), (d, h, w), affine, _declared(image), notes, _origin(image))


@contextmanager
def _image(file: BinaryIO) -> Iterator[Any]:
    """The opened image, whose values are read when they are asked for."""
    nibabel = import_reader(NIFTI)
    stream = plain_file(file)
    with quiet("nibabel", "nibabel.global"):
        try:
            # NIfTI-2 says so by the size of its head.
            head = stream.read(4)
            stream.seek(0)
            kind = nibabel.Nifti2Image if 540 in (int.from_bytes(head, end) for end in _ENDS) else nibabel.Nifti1Image
            yield kind.from_stream(stream)
        except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
            raise ImageError(f"the file is damaged ({reason(error)}).") from error


_ENDS: tuple[Any, ...] = ("little", "big")


def _space(image: Any) -> tuple[int, int, int]:
    """The three sides; a file of fewer axes is one voxel thick."""
    shape = tuple(int(side) for side in image.shape)
    if len(shape) < 2:
        raise ImageError(f"it has {len(shape)} axes of space, and pictures have 2 or 3.")
    if min(shape) <= 0:
        raise ImageError(f"an image of {'×'.join(map(str, shape))} has no values.")
    if image.get_data_dtype().kind not in "iuf":
        raise ImageError(f"its values are of type {image.get_data_dtype()}, and only plain numbers are read.")
    d, h, w = (*shape, 1)[:3]
    return d, h, w


def _plain(values: Any) -> Any:
    """Whole numbers as they are; reals in single precision, which is what networks take."""
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _declared(image: Any) -> Range | None:
    """What the head says is to be shown as black and white (cal_min and cal_max); None where it says nothing."""
    black, white = float(image.header["cal_min"]), float(image.header["cal_max"])
    return (
        Range(black, white, "the file's cal_min and cal_max")
        if np.isfinite([black, white]).all() and white > black
        else None
    )


def _origin(image: Any) -> dict[str, Any]:
    units = image.header.get_xyzt_units()[0]
    shape = [*map(int, image.shape), 1][:3]
    codes = [int(image.header["qform_code"]), int(image.header["sform_code"])]
    affine = np.asarray(image.affine, np.float64).tolist()
    return {"format": "NIfTI", "affine": affine, "shape": shape, "units": units, "codes": codes}

"""Signals and volumes as arrays or in files of them, .npy, .npz, .csv and .nii: the network's input as they are."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from foveal.errors import ImageError, printable
from foveal.images.load import Batch, load_images
from foveal.storage.reading import TEXT, damage, opened, read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.images.volume import Volume

SUFFIXES = (".npy", ".npz", ".csv")
LETTERS = {1: "(length,) or (channels, length)", 3: "(d, h, w) or (channels, d, h, w)"}


VOLUMES = (".nii", ".nii.gz")


def is_array_file(given: object, axes: int) -> TypeGuard[str | os.PathLike[str]]:
    """Whether it is the path of a file of arrays with so many axes of space, by its ending."""
    if not isinstance(given, str | os.PathLike):
        return False
    name = os.fsdecode(given).lower()
    return name.endswith(SUFFIXES) or (axes == 3 and name.endswith(VOLUMES))


def input_of_array(array: NDArray[Any] | Tensor, axes: int) -> Tensor:
    """(c, *space) or a batch (n, c, *space), in single precision: one channel where there is no axis for them.

    Raises:
        ImageError: for an array of another shape, or of no numbers.
    """
    given = array.detach().cpu().numpy() if isinstance(array, Tensor) else array
    if given.dtype.kind not in "buif" or given.ndim not in (axes, axes + 1, axes + 2) or 0 in given.shape:
        raise ImageError(
            f"Cannot take an array {given.dtype} {given.shape} for the network's input: this network takes numbers "
            f"{LETTERS[axes]}, or several in an array with an axis more."
        )
    values = given[None] if given.ndim == axes else given
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def load_array_files(files: Sequence[str | os.PathLike[str]], axes: int) -> Batch:
    """Signals (`axes` is 1) or volumes (3), each in a file of its own.

    Raises:
        ImageError: for a file that cannot be read, or holds an array of another shape, several arrays or no numbers.
    """
    paths = [Path(os.fsdecode(file)) for file in files]
    volumes = [_volume(path) if str(path).lower().endswith(VOLUMES) else None for path in paths]
    inputs = [
        torch.from_numpy(np.ascontiguousarray(volume.values, np.float32)) if volume else read_input(path, axes)
        for path, volume in zip(paths, volumes, strict=True)
    ]
    batch = load_images(inputs, axes=axes)
    photos = []
    for photo, path, volume in zip(batch.photos, paths, volumes, strict=True):
        named = replace(photo, source=printable(str(path)))
        photos.append(replace(named, notes=(*photo.notes, *volume.notes), origin=volume.origin) if volume else named)
    return Batch(batch.tensor, tuple(photos))


def _volume(path: Path) -> Volume:
    from foveal.images.nifti import read_volume

    return read_volume(path)


def read_input(path: Path, axes: int) -> Tensor:
    """(c, *space), in single precision: one channel where the file has no axis for them.

    A table has a row a sample and a column a channel; a first row of names is left out.

    Raises:
        ImageError: as `load_array_files`.
    """
    with damage(f"Cannot read {printable(str(path))!r}", ImageError):
        array = _table(path) if path.suffix.lower() == ".csv" else _array(path)
    if array.dtype.kind not in "buif" or array.ndim not in (axes, axes + 1) or 0 in array.shape:
        raise ImageError(
            f"Cannot take {printable(str(path))!r} for the network's input: it is {array.dtype} {array.shape}, and "
            f"this network takes numbers {LETTERS[axes]}."
        )
    values = array if array.ndim == axes + 1 else array[None]
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _array(path: Path) -> NDArray[Any]:
    with opened(path) as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        names = content.files
        if len(names) != 1:
            raise ValueError(f"it holds {len(names)} arrays ({', '.join(names[:5])}), and one is needed")
        array: NDArray[Any] = content[names[0]]
        return array


def _table(path: Path) -> NDArray[np.float64]:
    rows = [row for row in csv.reader(read_text(path, most=TEXT).splitlines()) if row]
    if rows and not _is_number(rows[0][0]):
        rows = rows[1:]
    columns = np.array([[float(cell) for cell in row] for row in rows], np.float64)
    return columns.T


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

"""Signals and volumes in files of arrays: .npy, .npz and .csv, which are the network's input as they are."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch

from foveal.errors import ImageError, printable
from foveal.images.load import Batch, load_images
from foveal.storage.reading import TEXT, damage, opened, read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

SUFFIXES = (".npy", ".npz", ".csv")
LETTERS = {1: "(length,) or (channels, length)", 3: "(d, h, w) or (channels, d, h, w)"}


def is_array_file(given: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether it is the path of a file of arrays, by its ending."""
    return isinstance(given, str | os.PathLike) and Path(os.fsdecode(given)).suffix.lower() in SUFFIXES


def load_array_files(files: Sequence[str | os.PathLike[str]], axes: int) -> Batch:
    """Signals (`axes` is 1) or volumes (3), each in a file of its own.

    Raises:
        ImageError: for a file that cannot be read, or holds an array of another shape, several arrays or no numbers.
    """
    paths = [Path(os.fsdecode(file)) for file in files]
    batch = load_images([read_input(path, axes) for path in paths], axes=axes)
    named = (replace(photo, source=printable(str(path))) for photo, path in zip(batch.photos, paths, strict=True))
    return Batch(batch.tensor, tuple(named))


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

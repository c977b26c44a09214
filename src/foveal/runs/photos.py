"""The photos of a run, read again from where they lie now."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.datasets.inside import picture_files
from foveal.datasets.plan import Item, Plan
from foveal.errors import ResultError
from foveal.images import Photo, Preprocessing, load_images

if TYPE_CHECKING:
    from foveal.datasets.inside import Picture
    from foveal.runs.record import RunManifest

INSIDE = ("tar", "rows")
"""Kinds of sources whose pictures are no files of their own."""


def read_photo(folder: Path, record: RunManifest, root: Path, item: Item, axes: int) -> Photo:
    """The photo of a row, or its signal or volume.

    Args:
        folder: of the run; its plan knows where pictures lie that are no files of their own.
        axes: of space, as the row's map has them: 1 of signals, 3 of volumes.

    Raises:
        ImageError: where it is not there, or cannot be read.
        ResultError: where the run does not know how it was prepared.
    """
    from foveal.images.array_file import is_array_file, load_array_files

    path = root / item.uri
    if axes != 2 and is_array_file(path, axes):
        return load_array_files([path], axes).photos[0]
    if record.preprocessing is None:
        raise ResultError(
            f"Cannot lay the map on {str(path)!r}: a run does not keep preprocessing that is code; explain it again."
        )
    picture = picture_of(folder, record, root, item)
    return load_images(picture, Preprocessing.from_dict(record.preprocessing)).photos[0]


def picture_of(folder: Path, record: RunManifest, root: Path, item: Item) -> Picture:
    """The file of a row's picture, or its bytes where it is no file of its own.

    Raises:
        ImageError: where it is inside of a file that cannot be read.
    """
    if record.source["kind"] in INSIDE:
        item = _plan(folder, root, record.shard, record.plan).everything[item.id]
    with picture_files(root) as files:
        return files.get(item)


@lru_cache(maxsize=1)
def _plan(folder: Path, root: Path, size: int, digest: str) -> Plan:
    """A plan that is read once for all photos; `digest` tells it from what may lie there later."""
    plan = Plan.load(folder, root, size)
    if plan.digest != digest:
        raise ResultError(f"The plan in {str(folder)!r} was changed: its photos cannot be told.")
    return plan

"""HEIC and HEIF, as phones write them, through pillow-heif; pictures of 10 and 12 bits at full depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from foveal.images.bounds import check_size
from foveal.images.depth import Range
from foveal.images.formats import HEIF, import_reader
from foveal.images.samples import Samples

if TYPE_CHECKING:
    from foveal.images.selection import Selection


def read(file: BinaryIO, selection: Selection) -> Samples:
    """The samples of the primary image, or of the one that `selection.frame` names; libheif turns them upright.

    Raises:
        ImageError: for an image that there is not.
        MissingExtra: without pillow-heif.
    """
    pillow_heif = import_reader(HEIF)
    opened = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    number, notes = selection.frame_of(len(opened))
    if selection.frame is None:
        number = opened.primary_index
        notes = notes and (f"the primary one of {len(opened)} images",)
    image = opened[number]
    width, height = image.size
    check_size(height, width)
    values, bits = np.asarray(image), int(image.info.get("bit_depth", 8))
    if values.dtype == np.uint8:
        return Samples(values, notes=notes, opaque=values.shape[2:] in ((), (1,), (3,)))
    # pillow-heif shifts what has fewer bits up to 16.
    meant = Range(0, 2**bits - 1, f"the file's depth of {bits} bits")
    return Samples(values >> (16 - bits), meant, notes, opaque=values.shape[2:] in ((), (1,), (3,)))

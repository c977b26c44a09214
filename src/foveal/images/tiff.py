"""TIFF as tifffile reads it: any number of bands, real numbers in colors, BigTIFF, pages that are bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from foveal.errors import ImageError
from foveal.images.bounds import check_size, quiet
from foveal.images.coordinates import nodata_notes, tiff_origin
from foveal.images.depth import is_inverted, tiff_range
from foveal.images.formats import TIFF, import_reader
from foveal.images.samples import Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.images.selection import Selection

RGB = 2
TURNS: dict[int, Any] = {
    1: lambda v: v,
    2: lambda v: v[:, ::-1],
    3: lambda v: v[::-1, ::-1],
    4: lambda v: v[::-1],
    5: lambda v: v.swapaxes(0, 1),
    6: lambda v: v[::-1].swapaxes(0, 1),
    7: lambda v: v[::-1, ::-1].swapaxes(0, 1),
    8: lambda v: v[:, ::-1].swapaxes(0, 1),
}
"""What makes a picture upright, by the orientation that its tag names."""


def read(file: BinaryIO, selection: Selection) -> Samples:
    """The samples of one page, or of all pages where each of them is a band.

    Raises:
        ImageError: for a page that there is not, or that cannot be decoded here.
        MissingExtra: without tifffile.
    """
    tifffile = import_reader(TIFF)
    with quiet("tifffile"), tifffile.TiffFile(file, name="picture.tif") as opened:
        pages = [page for page in opened.pages if not page.is_reduced and not page.is_mask]
        if not pages:
            raise ImageError("it has no pages.")
        stacked = _are_bands(pages, selection)
        number, notes = (0, ()) if stacked else selection.frame_of(len(pages))
        page = pages[number]
        check_size(page.imagelength, page.imagewidth, page.samplesperpixel * (len(pages) if stacked else 1))
        if stacked:
            values = np.stack([_values(each) for each in pages], 2)
            notes = (f"its {len(pages)} pages are read as bands",)
        else:
            values = _values(page)
        tags = {tag.code: tag.value for tag in page.tags}
    turned = TURNS.get(int(tags.get(274, 1)), TURNS[1])(values)
    colors = (0, 1, 2) if tags.get(262) == RGB else None
    return Samples(
        np.ascontiguousarray(turned),
        tiff_range(tags, values),
        (*notes, *nodata_notes(tags, values)),
        is_inverted(tags),
        colors=colors,
        opaque=not _has_opacity(page, values),
        origin=tiff_origin(tags),
    )


def _are_bands(pages: list[Any], selection: Selection) -> bool:
    """Whether the bands of a picture lie in one page each."""
    shapes = {page.shape for page in pages}
    wanted = selection.bands is not None and selection.frame is None
    return wanted and len(pages) > 1 and len(shapes) == 1 and pages[0].samplesperpixel == 1


def _values(page: Any) -> NDArray[Any]:
    """(H, W) or (H, W, c)."""
    try:
        values = page.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise ImageError(
                f"its compression {page.compression.name} is not read here: install imagecodecs, or save the file "
                "uncompressed or with deflate."
            ) from error
        raise
    if page.axes not in ("YX", "YXS", "SYX"):
        raise ImageError(f"its page has the axes {page.axes}, and only pictures of rows, columns and bands are read.")
    return np.asarray(np.moveaxis(values, 0, -1) if page.axes == "SYX" else values)


def _has_opacity(page: Any, values: NDArray[Any]) -> bool:
    """Whether the last band is opacity: associated (1) or not (2)."""
    kinds = [int(kind) for kind in page.extrasamples]
    return values.ndim == 3 and values.shape[2] in (2, 4) and kinds[-1:] in ([1], [2])

"""A figure as a file, by the ending of its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from foveal.errors import ResultError
from foveal.render.figure_page import figure_page, title_of
from foveal.render.pdf import need_reportlab
from foveal.storage.atomic import utf8, whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foveal.render.drawing import Drawing
    from foveal.render.figure_page import Row

VECTORS, PIXELS = (".pdf", ".svg"), (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
SIDE = 256  # in a PDF 128 points with type of 8 points; twice as many pixels make 288 an inch


def check_figure_file(file: Path) -> None:
    """Before the work is done.

    Raises:
        ResultError: for an ending that a figure cannot have, or a folder that cannot be written to.
        MissingExtra: for a PDF without ReportLab.
    """
    ending = file.suffix.casefold()
    if ending not in (*VECTORS, *PIXELS):
        raise ResultError(
            f"Cannot write a figure as {file.name!r}: end its name with {', '.join((*VECTORS, *PIXELS))}."
        )
    if file.is_dir():
        raise ResultError(f"Cannot write the figure {str(file)!r}: a folder has this name.")
    above = next(folder for folder in file.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ResultError(f"Cannot write the figure {str(file)!r}: {above} is not a folder that can be written to.")
    if ending == ".pdf":
        need_reportlab()


def save_figure(
    file: Path, rows: Sequence[Row], *, layers: Sequence[str] | None = None, side: int | None = None, drawing: Drawing,
    title: str | None = None,
) -> Path:  # fmt: skip
    """The file, now holding the figure of `figure_page`, whole or not at all.

    side        of an overlay in pixels. In vectors the page stays as it is, and the images in it become finer.
    title       above the figure; the model's name if left out, nothing if empty.
    """
    check_figure_file(file)
    ending = file.suffix.casefold()
    if ending in VECTORS:
        page = figure_page(
            rows, layers=layers, side=SIDE, drawing=drawing, finer=(side or 2 * SIDE) / SIDE, title=title
        )
    else:
        page = figure_page(rows, layers=layers, side=side or SIDE, drawing=drawing, title=title)
    with whole_file(file) as aside:
        if ending == ".pdf":
            aside.write_bytes(page.pdf(title_of(rows, title)))
        elif ending == ".svg":
            aside.write_bytes(utf8(page.svg()))
        else:
            page.image().save(aside)
    return file

"""A page as PDF: text stays text, in the fonts that the pixels have, embedded; images lie inside as JPEG.

ReportLab (BSD license, nothing but Pillow behind it) writes the file: it cuts fonts down to the letters in use and
tells readers which letters they are, so that text can be searched and copied.
"""

from __future__ import annotations

import io
import unicodedata
from functools import cache
from typing import Any, TypeAlias

from PIL import Image, ImageDraw

from foveal.errors import MissingExtra
from foveal.render.direction import is_leftward
from foveal.render.fonts import BUILT_IN, Face, is_unseen
from foveal.render.fragment import jpeg
from foveal.render.graphemes import graphemes
from foveal.render.text import baseline, length, runs, write

Pair: TypeAlias = tuple[float, float]
Corners: TypeAlias = tuple[float, float, float, float]
Ink: TypeAlias = tuple[int, int, int]
POINTS = 0.5  # a pixel of the page
BASIC = "\uffff"  # the last character that ReportLab tells readers rightly
FINER = 6  # pixels a pixel of the page, of letters that no font of a PDF can hold


class Pdf:
    """One page to draw on, in pixels from the upper left corner.

    Raises:
        MissingExtra: where ReportLab is not installed.
    """

    def __init__(self, width: int, height: int, title: str = "") -> None:
        need_reportlab()
        from reportlab.pdfgen.canvas import Canvas

        self._file, self._height = io.BytesIO(), height
        # ReportLab would begin with a font that is not embedded.
        self._canvas = Canvas(
            self._file, (width * POINTS, height * POINTS), invariant=1, initialFontName=_embedded(BUILT_IN)
        )
        self._canvas.setCreator("foveal")
        self._canvas.setTitle(title or "foveal")
        self._canvas.setAuthor("")  # ReportLab would write "anonymous"
        self._canvas.setSubject("")
        self._canvas.scale(POINTS, POINTS)

    def image(self, box: Corners, image: Image.Image) -> None:
        """An image that fills a box."""
        from reportlab.lib.utils import ImageReader

        x0, y0, x1, y1 = box
        content = ImageReader(io.BytesIO(jpeg(image, quality=95)))
        self._canvas.drawImage(content, x0, self._height - y1, x1 - x0, y1 - y0)

    def line(self, start: Pair, stop: Pair, color: Ink, width: float) -> None:
        self._canvas.setStrokeColorRGB(*_unit(color))
        self._canvas.setLineWidth(width)
        self._canvas.line(start[0], self._height - start[1], stop[0], self._height - stop[1])

    def frame(self, box: Corners, color: Ink, width: float) -> None:
        x0, y0, x1, y1 = box
        self._canvas.setStrokeColorRGB(*_unit(color))
        self._canvas.setLineWidth(width)
        self._canvas.rect(x0, self._height - y1, x1 - x0, y1 - y0)

    def text(self, at: Pair, text: str, size: float, ink: Ink, anchor: str) -> None:
        """Text with its part `anchor` at a point; letters of fonts that a PDF cannot hold are drawn as an image."""
        pieces = [(run, _embedded(face)) for run, face in runs(text)]
        if any(name is None for _, name in pieces) or any(map(_needs_shaping, text)):
            self._letters(at, text, size, ink, anchor)
            return
        x = at[0] - {"l": 0, "m": 0.5, "r": 1}[anchor[0]] * length(text, size)
        y = self._height - at[1] - baseline(anchor[1], size)
        self._canvas.setFillColorRGB(*_unit(ink))
        for run, name in pieces:
            self._canvas.setFont(name, size)
            self._canvas.drawString(x, y, run)
            x += self._canvas.stringWidth(run, name, size)

    def content(self) -> bytes:
        """The file."""
        self._canvas.showPage()
        self._canvas.save()
        return self._file.getvalue()

    def _letters(self, at: Pair, text: str, size: float, ink: Ink, anchor: str) -> None:
        wide, high = length(text, size) + 2, 2 * size
        image = Image.new("RGB", (round(wide * FINER), round(high * FINER)), "white")
        write(ImageDraw.Draw(image), (FINER, image.height / 2), text, size * FINER, ink=ink, anchor="lm")
        x = at[0] - 1 - {"l": 0, "m": 0.5, "r": 1}[anchor[0]] * length(text, size)
        y = at[1] + baseline(anchor[1], size) - baseline("m", size) - high / 2
        self.image((x, y, x + wide, y + high), image)
        self._unseen((x + 1, at[1] + baseline(anchor[1], size)), text, size)

    def _unseen(self, at: Pair, text: str, size: float) -> None:
        """Text under its image that readers find and copy; they expect letters as they lie, from left to right."""
        line = self._canvas.beginText(at[0], self._height - at[1])
        line.setTextRenderMode(3)
        for piece, face in runs(text):
            if name := _embedded(face):
                known = [letter for letter in graphemes(piece) if letter <= BASIC]
                line.setFont(name, size)
                line.textOut("".join(reversed(known) if is_leftward(piece) else known))
        line.setTextRenderMode(0)
        self._canvas.drawText(line)


def need_reportlab() -> None:
    """Raises MissingExtra where ReportLab is not installed."""
    try:
        import reportlab  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "A PDF with text needs ReportLab, which is not installed: pip install 'foveal[pdf]', or write .svg or .png."
        ) from error


@cache
def _embedded(face: Face) -> str | None:
    """The name of a font in PDFs; None for one that ReportLab cannot embed: OpenType with PostScript outlines."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    source: Any = io.BytesIO(built_in_font()) if face == BUILT_IN else str(face.path)
    name = f"foveal-{'built-in' if face == BUILT_IN else face.path}"
    try:
        pdfmetrics.registerFont(TTFont(name, source))
    except (TTFError, OSError):
        return None
    return name


def built_in_font() -> bytes:
    """The font file that Pillow brings (Aileron, in the public domain by CC0)."""
    return bytes(BUILT_IN.at(16).font_bytes)


def _needs_shaping(char: str) -> bool:
    """Letters that are joined, turned around or moved by their neighbors; and those that ReportLab encodes wrongly."""
    return is_leftward(char) or unicodedata.category(char).startswith("M") or is_unseen(char) or char > BASIC


def _unit(color: Ink) -> tuple[float, float, float]:
    red, green, blue = (value / 255 for value in color)
    return red, green, blue

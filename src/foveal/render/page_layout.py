"""Things at places on a page, drawn as pixels, as SVG or as PDF."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image, ImageDraw

from foveal.render.direction import isolated
from foveal.render.fonts import BUILT_IN, Face, own_faces
from foveal.render.fragment import jpeg_uri
from foveal.render.overlay import PAPER
from foveal.render.pdf import Pdf, built_in_font
from foveal.render.stroke import smooth_line
from foveal.render.text import baseline, runs, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Color: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]
ANCHORS = {"l": "start", "m": "middle", "r": "end"}


@dataclass(frozen=True)
class PageMark:
    """One thing on a page, in each of the three ways to draw it."""

    pixels: Callable[[Image.Image], None]
    svg: str
    pdf: Callable[[Pdf], None]


@dataclass
class Page:
    """A page of a size in pixels; later things lie on earlier ones."""

    width: int
    height: int
    _marks: list[PageMark] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)

    def place(self, at: Point, image: Image.Image, *, size: tuple[int, int] | None = None, alt: str = "") -> None:
        """An image with its upper left corner at a point; vectors may hold more pixels than its `size`."""
        x, y = round(at[0]), round(at[1])
        w, h = size or image.size
        said = f"<title>{isolated(alt)}</title>" if alt else ""
        href = jpeg_uri(image, quality=92)
        svg = f'<g><image x="{x}" y="{y}" width="{w}" height="{h}" preserveAspectRatio="none" href="{href}"/>{said}</g>'

        def paste(page: Image.Image) -> None:
            page.paste(image if image.size == (w, h) else image.resize((w, h), Image.Resampling.LANCZOS), (x, y))

        self._marks.append(PageMark(paste, svg, lambda pdf: pdf.image((x, y, x + w, y + h), image)))

    def line(self, start: Point, stop: Point, color: Color, width: float) -> None:
        (x0, y0), (x1, y1) = start, stop
        svg = (
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{_css(color)}" '
            f'stroke-width="{width:.2f}"/>'
        )
        self._marks.append(
            PageMark(
                lambda page: smooth_line(page, start, stop, color, width),
                svg,
                lambda pdf: pdf.line(start, stop, color, width),
            )
        )

    def frame(self, box: Box, color: Color, width: int) -> None:
        """The outline of a box (x0, y0, x1, y1), inside it."""
        x0, y0, x1, y1 = box
        half = width / 2
        svg = (
            f'<rect x="{x0 + half:.1f}" y="{y0 + half:.1f}" width="{x1 - x0 - width:.1f}" '
            f'height="{y1 - y0 - width:.1f}" fill="none" stroke="{_css(color)}" stroke-width="{width}"/>'
        )
        inner = (x0, y0, max(x0, x1 - 1), max(y0, y1 - 1))
        self._marks.append(
            PageMark(
                lambda page: ImageDraw.Draw(page).rectangle(inner, outline=color, width=width),
                svg,
                lambda pdf: pdf.frame((x0 + half, y0 + half, x1 - half, y1 - half), color, width),
            )
        )

    def text(self, at: Point, text: str, size: float, *, ink: Color, anchor: str = "mm") -> None:
        """Text, of which the part that `anchor` names lies at a point: l, m, r and a (top), m."""
        (x, y), shown = at, isolated(text)
        self._texts.append(text)
        svg = (
            f'<text x="{x:.1f}" y="{y + baseline(anchor[1], size):.1f}" font-size="{size:.1f}" fill="{_css(ink)}" '
            f'text-anchor="{ANCHORS[anchor[0]]}">{shown}</text>'
        )
        self._marks.append(
            PageMark(
                lambda page: write(ImageDraw.Draw(page), at, text, size, ink=ink, anchor=anchor),
                svg,
                lambda pdf: pdf.text(at, text, size, ink, anchor),
            )
        )

    def image(self) -> Image.Image:
        """The page in pixels."""
        page = Image.new("RGB", (self.width, self.height), PAPER)
        for mark in self._marks:
            mark.pixels(page)
        return page

    def svg(self) -> str:
        """The page in vectors; the fonts, unless they are large, and, as JPEG, images are inside it."""
        inside = "\n".join(mark.svg for mark in self._marks)
        style, families = _fonts(self._texts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" font-family="{families}">\n{style}'
            f'<rect width="100%" height="100%" fill="{_css(PAPER)}"/>\n{inside}\n</svg>\n'
        )

    def pdf(self, title: str = "") -> bytes:
        """The page in vectors; fonts and images are inside it. Raises MissingExtra without ReportLab."""
        page = Pdf(self.width, self.height, title)
        for mark in self._marks:
            mark.pdf(page)
        return page.content()


_SYSTEM = "system-ui, Helvetica, Arial, sans-serif"
_MOST_EMBEDDED = 2**20
"""Bytes of a font file that goes into an SVG; those of Chinese letters are larger."""


def _fonts(texts: Sequence[str]) -> tuple[str, str]:
    """The fonts that widths were measured in, for readers that take them from the file, and their families."""
    used = dict.fromkeys(face for text in texts for _, face in runs(text))
    faces = sorted(used, key=[*own_faces(), BUILT_IN, *used].index)
    families, rules = [], []
    for number, face in enumerate(faces):
        content = _font_file(face)
        if content:
            families.append("Aileron" if face == BUILT_IN else f"foveal-{number}")
            source = base64.b64encode(content).decode()
            rules.append(f"@font-face{{font-family:{families[-1]};src:url(data:font/ttf;base64,{source})}}")
    style = f"<style>{''.join(rules)}</style>\n" if rules else ""
    return style, ", ".join([*families, _SYSTEM])


def _font_file(face: Face) -> bytes:
    """Of one font and not too large; else nothing."""
    if face.path is None:
        return built_in_font()
    whole = face.path.suffix.casefold() in (".ttf", ".otf") and face.path.stat().st_size <= _MOST_EMBEDDED
    return face.path.read_bytes() if whole else b""


def _css(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)

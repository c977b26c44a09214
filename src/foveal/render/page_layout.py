"""Things at places on a page, drawn as pixels or as vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image, ImageDraw

from foveal.errors import printable
from foveal.render.fragment import jpeg_uri
from foveal.render.overlay import PAPER
from foveal.render.stroke import smooth_line
from foveal.render.text import write

if TYPE_CHECKING:
    from collections.abc import Callable

Color: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]
ANCHORS = {"l": "start", "m": "middle", "r": "end"}
BASELINES = {"a": "hanging", "m": "central"}


@dataclass
class Page:
    """A page of a size in pixels; later things lie on earlier ones."""

    width: int
    height: int
    _drawn: list[tuple[Callable[[Image.Image], None], str]] = field(default_factory=list)

    def place(self, at: Point, image: Image.Image, *, alt: str = "") -> None:
        """An image with its upper left corner at a point."""
        x, y = round(at[0]), round(at[1])
        size = f'x="{x}" y="{y}" width="{image.width}" height="{image.height}"'
        said = f"<title>{escape(printable(alt))}</title>" if alt else ""
        svg = f'<g><image {size} href="{jpeg_uri(image, quality=92)}"/>{said}</g>'
        self._drawn.append((lambda page: page.paste(image, (x, y)), svg))

    def line(self, start: Point, stop: Point, color: Color, width: float) -> None:
        (x0, y0), (x1, y1) = start, stop
        svg = (
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{_css(color)}" '
            f'stroke-width="{width:.2f}"/>'
        )
        self._drawn.append(
            (
                lambda page: smooth_line(page, start, stop, color, width),
                svg,
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
        self._drawn.append((lambda page: ImageDraw.Draw(page).rectangle(inner, outline=color, width=width), svg))

    def text(self, at: Point, text: str, size: float, *, ink: Color, anchor: str = "mm") -> None:
        """Text, of which the part that `anchor` names lies at a point: l, m, r and a (top), m."""
        (x, y), shown = at, escape(printable(text))
        svg = (
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" fill="{_css(ink)}" '
            f'text-anchor="{ANCHORS[anchor[0]]}" dominant-baseline="{BASELINES[anchor[1]]}">{shown}</text>'
        )
        self._drawn.append((lambda page: write(ImageDraw.Draw(page), at, text, size, ink=ink, anchor=anchor), svg))

    def image(self) -> Image.Image:
        """The page in pixels."""
        page = Image.new("RGB", (self.width, self.height), PAPER)
        for draw, _ in self._drawn:
            draw(page)
        return page

    def svg(self) -> str:
        """The page in vectors; images are inside it as JPEG."""
        inside = "\n".join(svg for _, svg in self._drawn)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" font-family="system-ui, Helvetica, Arial, sans-serif">\n'
            f'<rect width="100%" height="100%" fill="{_css(PAPER)}"/>\n{inside}\n</svg>\n'
        )


def _css(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)

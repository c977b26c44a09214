"""A result as a piece of HTML that stands alone, for notebooks and pages."""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from PIL import ImageFile

from foveal.render.alt_text import describe_map
from foveal.render.direction import html_text, isolated
from foveal.render.drawing import scale_of
from foveal.render.overlay import draw_overlay, resized
from foveal.render.scale import shared_sign
from foveal.render.slices import slice_numbers, slider
from foveal.render.volume import as_bytes, photo_of_plane

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image

    from foveal.render.drawable import Maps
    from foveal.render.scale import Sign

_saving = Lock()
SHOWN = 12  # overlays; a notebook is no place for hundreds
LAYERS = 6  # of one explanation
WIDEST, TALLEST = 1600, 4800  # pixels of an image in a notebook
MOST = 1_500_000  # characters that the images of one result take
LINES, LETTERS = 40, 20_000  # of what a result says of itself
FEW = 4096  # colors of a chart; photos have more
STYLE = "font-family:system-ui,sans-serif;line-height:1.4"


def data_uri(picture: Image.Image, *, quality: int | None = None) -> str:
    """The image inside a link: lossless PNG, or WebP of a quality from 0 to 100."""
    content = io.BytesIO()
    if quality is None:
        picture.save(content, "PNG", optimize=True)
    else:
        picture.convert("RGB").save(content, "WEBP", quality=quality, method=4, use_sharp_yuv=True)
    return _link("png" if quality is None else "webp", content.getvalue())


def jpeg(picture: Image.Image, *, quality: int) -> bytes:
    """The image as JPEG, its colors at full resolution."""
    content = io.BytesIO()
    with _room_for(picture):
        picture.convert("RGB").save(content, "JPEG", quality=quality, optimize=True, subsampling=0)
    return content.getvalue()


def jpeg_uri(picture: Image.Image, *, quality: int) -> str:
    """The image inside a link as JPEG, which every program that opens SVG files can read."""
    return _link("jpeg", jpeg(picture, quality=quality))


def _link(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@contextmanager
def _room_for(picture: Image.Image) -> Iterator[None]:
    """A buffer for the whole image: of Pillow's own, all noise runs over, and libjpeg says so on standard error."""
    with _saving:
        usual = ImageFile.MAXBLOCK
        ImageFile.MAXBLOCK = max(usual, 8 * picture.width * picture.height)
        try:
            yield
        finally:
            ImageFile.MAXBLOCK = usual


def png(picture: Image.Image) -> bytes:
    """The image as notebooks take it."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def bounded_uri(picture: Image.Image, most: int = MOST) -> str:
    """The image inside a link of at most so many characters: made smaller until it fits; charts stay lossless."""
    ratio = min(1.0, WIDEST / picture.width, TALLEST / picture.height)
    while True:
        shown = resized(picture, max(1, round(ratio * max(picture.size)))) if ratio < 1 else picture
        uri = data_uri(shown, quality=None if shown.getcolors(FEW) else 86)
        if len(uri) <= most or max(shown.size) < 64:
            return uri
        ratio *= 0.8


def result_fragment(pictures: Sequence[tuple[Image.Image, str]], text: str) -> str:
    """Pictures with their alternative texts, and below them what the result says of itself; bounded in size."""
    most = MOST // max(1, len(pictures))
    shown = "".join(_image(bounded_uri(picture, most), alt) for picture, alt in pictures)
    words = html_text(_beginning(text))
    return f'<div style="{STYLE}">{shown}<pre style="white-space:pre-wrap">{words}</pre></div>'


def explanation_fragment(why: Maps, *, side: int) -> str:
    """Overlays of every layer with their words, then the notes."""
    sign = shared_sign(map.detach().cpu().float().numpy() for map in why.maps.values())
    layers = _some(why.layers)
    count = min(len(why), max(1, SHOWN // len(layers)))
    most = MOST // (count * len(layers))
    figures = "".join(_figure(why, i, layer, sign, side, most) for i in range(count) for layer in layers)
    left_out = f"<p>… and {len(why) - count} more images.</p>" if len(why) > count else ""
    notes = "".join(f"<li>{html_text(note)}</li>" for note in why.notes)
    listed = f"<ul>{notes}</ul>" if notes else ""
    named = ", ".join(layers) + (f" ({len(layers)} of {len(why.layers)} layers)" * (len(layers) < len(why.layers)))
    return (
        f'<div style="{STYLE}"><p><strong>{html_text(why.method)}</strong> of {html_text(why.model)} at '
        f"{html_text(named)}</p>"
        f'<div style="display:flex;flex-wrap:wrap;gap:1rem">{figures}</div>{left_out}{listed}</div>'
    )


def _some(layers: Sequence[str]) -> Sequence[str]:
    """At most so many, from the first to the last."""
    if len(layers) <= LAYERS:
        return layers
    step = (len(layers) - 1) / (LAYERS - 1)
    return [layers[round(k * step)] for k in range(LAYERS)]


def table_fragment(head: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", notes: str = "") -> str:
    """A table of texts; the first column names the row, the others are set to the right."""
    heads = "".join(f'<th scope="col" style="{_side(j)}">{html_text(cell)}</th>' for j, cell in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f'<td style="{_side(j)}">{html_text(cell)}</td>' for j, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    caption = f'<caption style="text-align:left">{html_text(title)}</caption>' if title else ""
    below = f"<p>{html_text(notes)}</p>" if notes else ""
    table = f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div style="{STYLE}">{table}{below}</div>'


def _side(column: int) -> str:
    return f"text-align:{'right' if column else 'left'};font-variant-numeric:tabular-nums"


def _figure(why: Maps, i: int, layer: str, sign: Sign, side: int, most: int) -> str:
    map, photo = why.maps[layer][i].detach().cpu().float().numpy(), why.photos[i]
    words = describe_map(map, photo.geometry, why.where.get(layer), photo.space)
    if len(why.layers) > 1:
        words = f"{layer}: {words}"
    own = sign if why.drawing.sign == "auto" else why.drawing.sign
    alt = f"{why.method} for {why.target[i]} at {layer}. {words}"
    wide = side if photo.values is None else 2 * side
    picture = bounded_uri(why.overlay(i, layer=layer, size=why.drawing.size or wide, sign=own), most)
    through = _slider(why, i, layer, own, side, most) if len(photo.space) == map.ndim == 3 else ""
    return (
        f'<figure style="margin:0;max-width:{wide + 120}px">{_image(picture, alt)}{through}'
        f"<figcaption>{html_text(why.summary(i))}<br><small>{html_text(words)}</small></figcaption></figure>"
    )


def _slider(why: Maps, i: int, layer: str, sign: Sign, side: int, most: int) -> str:
    """Through the slices of a volume, in the colors of the whole."""
    photo, drawing = why.photos[i], why.drawing
    evidence = why.on_input(i, layer=layer).detach().cpu().float().numpy()
    limit = scale_of(why.maps[layer], i, replace(drawing, sign=sign), robust=layer == "input").limit
    assert photo.values is not None
    planes = as_bytes(photo.values)
    pictures = [
        (z, draw_overlay(
            photo_of_plane(planes[z]), evidence[z], sign=sign, limit=limit, alpha=drawing.alpha, colors=drawing.colors,
            contour=drawing.contour, color_bar=False, side=side, silent=True,
        ))
        for z in slice_numbers(len(evidence))
    ]  # fmt: skip
    room = most // len(pictures)
    return slider(pictures, len(evidence), f"{why.method} at {layer}", lambda picture: bounded_uri(picture, room))


def _image(uri: str, alt: str) -> str:
    return f'<img src="{uri}" alt="{isolated(alt[:LETTERS])}" style="max-width:100%">'


def _beginning(text: str) -> str:
    """As many lines as there is room for."""
    lines = text.splitlines()
    left_out = [f"… and {len(lines) - LINES} more lines: print() shows all"] if len(lines) > LINES else []
    return "\n".join([line[:LETTERS] for line in lines[:LINES]] + left_out)

"""A result as a piece of HTML that stands alone, for notebooks and pages."""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from html import escape
from threading import Lock
from typing import TYPE_CHECKING

from PIL import ImageFile

from foveal.render.alt_text import describe_map
from foveal.render.scale import shared_sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from foveal.render.drawable import Maps
    from foveal.render.scale import Sign

_saving = Lock()
SHOWN = 12  # images; a notebook is no place for hundreds


def data_uri(picture: Image.Image, *, quality: int | None = None) -> str:
    """The picture inside a link: lossless PNG, or JPEG of a quality."""
    if quality is not None:
        return f"data:image/jpeg;base64,{base64.b64encode(jpeg(picture, quality=quality)).decode()}"
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def jpeg(picture: Image.Image, *, quality: int) -> bytes:
    """The picture as JPEG, its colors at full resolution."""
    content = io.BytesIO()
    with _room_for(picture):
        picture.convert("RGB").save(content, "JPEG", quality=quality, optimize=True, subsampling=0)
    return content.getvalue()


@contextmanager
def _room_for(picture: Image.Image) -> Iterator[None]:
    """A buffer for the whole picture: of Pillow's own, all noise runs over, and libjpeg says so on standard error."""
    with _saving:
        usual = ImageFile.MAXBLOCK
        ImageFile.MAXBLOCK = max(usual, 8 * picture.width * picture.height)
        try:
            yield
        finally:
            ImageFile.MAXBLOCK = usual


def png(picture: Image.Image) -> bytes:
    """The picture as notebooks take it."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def explanation_fragment(why: Maps, *, side: int) -> str:
    """Overlays of every layer with their words, then the notes."""
    sign = shared_sign(map.detach().cpu().float().numpy() for map in why.maps.values())
    shown = [(i, layer) for i in range(min(len(why), SHOWN)) for layer in why.layers]
    figures = "".join(_figure(why, i, layer, sign, side) for i, layer in shown)
    left_out = f"<p>… and {len(why) - SHOWN} more images.</p>" if len(why) > SHOWN else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in why.notes)
    listed = f"<ul>{notes}</ul>" if notes else ""
    return (
        '<div style="font-family:system-ui,sans-serif;line-height:1.4">'
        f"<p><strong>{escape(why.method)}</strong> of {escape(why.model)} at {escape(', '.join(why.layers))}</p>"
        f'<div style="display:flex;flex-wrap:wrap;gap:1rem">{figures}</div>{left_out}{listed}</div>'
    )


def _figure(why: Maps, i: int, layer: str, sign: Sign, side: int) -> str:
    map = why.maps[layer][i].detach().cpu().float().numpy()
    words = describe_map(map, why.photos[i].geometry, why.where.get(layer))
    if len(why.layers) > 1:
        words = f"{layer}: {words}"
    own = sign if why.drawing.sign == "auto" else why.drawing.sign
    picture = data_uri(why.overlay(i, layer=layer, size=why.drawing.size or side, sign=own), quality=88)
    alt = escape(f"{why.method} for {why.target[i]} at {layer}. {words}", quote=True)
    return (
        f'<figure style="margin:0;max-width:{side + 120}px"><img src="{picture}" alt="{alt}" style="max-width:100%">'
        f"<figcaption>{escape(why.summary(i))}<br><small>{escape(words)}</small></figcaption></figure>"
    )


def figure_fragment(figure: Image.Image, text: str) -> str:
    """A figure, and below it what the result says of itself."""
    picture = data_uri(figure, quality=88)
    return (
        '<div style="font-family:system-ui,sans-serif;line-height:1.4">'
        f'<img src="{picture}" alt="{escape(text.splitlines()[0] if text else "", quote=True)}" style="max-width:100%">'
        f'<pre style="white-space:pre-wrap">{escape(text)}</pre></div>'
    )

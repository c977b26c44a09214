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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from foveal.render.drawable import Maps

_saving = Lock()
SHOWN = 12  # pictures; a notebook is no place for hundreds


def data_uri(picture: Image.Image, *, quality: int | None = None) -> str:
    """The picture inside a link: lossless PNG, or JPEG of a quality."""
    content = io.BytesIO()
    if quality is None:
        picture.save(content, "PNG", optimize=True)
    else:
        with _room_for(picture):
            picture.convert("RGB").save(content, "JPEG", quality=quality, optimize=True, subsampling=0)
    kind = "png" if quality is None else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


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
    """Overlays with their words, then the notes."""
    figures = "".join(_figure(why, i, side) for i in range(min(len(why), SHOWN)))
    left_out = f"<p>… and {len(why) - SHOWN} more pictures.</p>" if len(why) > SHOWN else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in why.notes)
    listed = f"<ul>{notes}</ul>" if notes else ""
    return (
        '<div style="font-family:system-ui,sans-serif;line-height:1.4">'
        f"<p><strong>{escape(why.method)}</strong> of {escape(why.model)} at {escape(', '.join(why.layers))}</p>"
        f'<div style="display:flex;flex-wrap:wrap;gap:1rem">{figures}</div>{left_out}{listed}</div>'
    )


def _figure(why: Maps, i: int, side: int) -> str:
    map = why.map[i].detach().cpu().float().numpy()
    words = describe_map(map, why.photos[i].geometry, why.where.get(why.layer))
    picture = data_uri(why.overlay(i, side=side), quality=88)
    alt = escape(f"{why.method} for {why.target[i]} at {why.layer}. {words}", quote=True)
    return (
        f'<figure style="margin:0;max-width:{side + 120}px"><img src="{picture}" alt="{alt}">'
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

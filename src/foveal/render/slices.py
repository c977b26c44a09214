"""A slider through the slices of a volume, as a piece of HTML that stands alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

MOST = 64  # slices; of more, so many from the first to the last


def slice_numbers(depth: int) -> list[int]:
    """The slices that are shown, counted from 0."""
    count = min(depth, MOST)
    return [round(k * (depth - 1) / max(1, count - 1)) for k in range(count)]


def slider(
    pictures: Sequence[tuple[int, Image.Image]], depth: int, words: str, uri: Callable[[Image.Image], str]
) -> str:
    """One slice at a time, the middle one first; a slider moves through them, by mouse and keys.

    Args:
        pictures: slices, each with its number.
        depth: how many the volume has.
        words: the alternative text.
        uri: a picture inside a link.
    """
    first = len(pictures) // 2
    shown = "".join(
        f'<div style="display:{"block" if k == first else "none"}">'
        f'<img src="{uri(picture)}" alt="{escape(words, quote=True)}, slice {number}" style="max-width:100%">'
        f"<br><small>slice {number} (0 to {depth - 1})</small></div>"
        for k, (number, picture) in enumerate(pictures)
    )
    move = (
        "for(const [k,part] of [...this.nextElementSibling.children].entries())"
        "part.style.display=k==this.value?'block':'none'"
    )
    return (
        f'<input type="range" min="0" max="{len(pictures) - 1}" value="{first}" aria-label="slice" '
        f'style="width:100%" oninput="{escape(move, quote=True)}"><div>{shown}</div>'
    )

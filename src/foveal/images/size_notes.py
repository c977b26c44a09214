"""What a reader must know of the size of an image: how far it was enlarged or reduced, and how much of it is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foveal.images.geometry import Geometry

ENLARGED = 8
"""Times from which an image counts as tiny."""
REDUCED = 16
"""Times from which small details of an image are lost."""
SEEN = 0.5
"""A crop that shows less of an image is worth a remark."""
SQUEEZED = 2
"""Times from which a change of proportions is worth a remark."""


def size_notes(geometry: Geometry) -> tuple[str, ...]:
    """A sentence for each oddity of the image's size; none for ordinary images.

    >>> from foveal.images import Preprocessing
    >>> size_notes(Preprocessing(size=(224, 224)).geometry((1, 1)))
    ('1×1 pixels, enlarged 224 times',)
    """
    (height, width), (down, across) = geometry.photo_size, geometry.scale
    size, notes = f"{width}×{height} pixels", []
    most, least = max(down, across), min(down, across)
    if most >= ENLARGED:
        notes.append(f"{size}, enlarged {most:.3g} times")
    elif least <= 1 / REDUCED:
        notes.append(f"{size}, reduced {1 / least:.3g} times: the network does not see smaller details")
    if most >= SQUEEZED * least:
        notes.append(f"{size}, squeezed to {geometry.input_size[1]}×{geometry.input_size[0]}: shapes are distorted")
    x0, y0, x1, y1 = geometry.seen
    share = (x1 - x0) * (y1 - y0) / (height * width)
    if share < SEEN:
        notes.append(
            f"{size}, of which the network sees the central {100 * share:.2g} %: crop the image, or set resize='pad' "
            "in the preprocessing"
        )
    return tuple(notes)

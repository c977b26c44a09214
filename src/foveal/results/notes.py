"""Problems of a map that its overlay may hide, and what was decided to read the photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float
    from torch import Tensor

    from foveal.images import Photo

LISTED = 5  # images named one by one


def map_notes(maps: Mapping[str, Float[Tensor, "n h w"]]) -> tuple[str, ...]:
    """A sentence for each layer and kind of oddity: values that are not numbers, all zero, nothing in favor."""
    notes = []
    for layer, map in maps.items():
        cells = map.detach().flatten(1)
        finite = cells.isfinite().all(1)
        zero = (cells == 0).all(1)
        against = finite & ~zero & (cells <= 0).all(1)
        for here, told in (
            (~finite, "the map has values that are not numbers"),
            (zero, "there is no evidence, the map is all zero"),
            (against, "all evidence is negative"),
        ):
            if here.any():
                notes.append(f"{layer}: {told}{_which(here.tolist())}")
    return tuple(notes)


def photo_notes(photos: Sequence[Photo]) -> tuple[str, ...]:
    """What had to be decided to read the photos, each decision once."""
    said = dict.fromkeys(note for photo in photos for note in photo.notes)
    return tuple(f"photo: {note}{_which([note in photo.notes for photo in photos])}" for note in said)


def _which(found: Sequence[bool]) -> str:
    """Which images, in brackets; nothing if there is only one."""
    places = [i for i, here in enumerate(found) if here]
    if len(found) == 1:
        return ""
    if len(places) == len(found):
        return " (every image)"
    listed = ", ".join(str(i) for i in places[:LISTED])
    more = f" and {len(places) - LISTED} more" if len(places) > LISTED else ""
    return f" (image{'s' * (len(places) > 1)} {listed}{more}, counted from 0)"

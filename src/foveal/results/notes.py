"""Problems of a map that its overlay may hide, and what was decided to read the photos."""

from __future__ import annotations

from math import inf
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
        lows, highs = map.detach().flatten(1).aminmax(dim=1)  # NaN where there is any
        ranges = [*zip(lows.tolist(), highs.tolist(), strict=True)]
        for here, told in (
            ([not -inf < low <= high < inf for low, high in ranges], "the map has values that are not numbers"),
            ([low == high == 0 for low, high in ranges], "there is no evidence, the map is all zero"),
            ([-inf < low < 0 and high <= 0 for low, high in ranges], "all evidence is negative"),
        ):
            if any(here):
                notes.append(f"{layer}: {told}{_which(here)}")
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

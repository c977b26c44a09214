"""What the numbers of a map tell that its picture may hide."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Bool, Float
    from torch import Tensor


def map_remarks(maps: Mapping[str, Float[Tensor, "n h w"]]) -> tuple[str, ...]:
    """A sentence for each layer and kind of oddity: values that are not numbers, all zero, nothing in favour."""
    remarks = []
    for layer, map in maps.items():
        cells = map.detach().flatten(1)
        finite = cells.isfinite().all(1)
        zero = (cells == 0).all(1)
        against = finite & ~zero & (cells <= 0).all(1)
        for found, words in (
            (~finite, "the map has values that are not numbers"),
            (zero, "there is no evidence, the map is all zero"),
            (against, "all evidence is negative"),
        ):
            if found.any():
                remarks.append(f"{layer}: {words}{_which(found)}")
    return tuple(remarks)


def _which(found: Bool[Tensor, " n"]) -> str:
    """Which pictures, in brackets; nothing if there is only one."""
    places = found.nonzero().flatten().tolist()
    if len(found) == 1:
        return ""
    if len(places) == len(found):
        return " (every picture)"
    listed = ", ".join(str(i) for i in places[:5])
    more = f" and {len(places) - 5} more" if len(places) > 5 else ""
    return f" (picture{'s' * (len(places) > 1)} {listed}{more}, counted from 0)"

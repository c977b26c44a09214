"""Where two trees agree: how much of both decisions the same features hold. Specification: gAP, 8.9."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.results.joining import join

if TYPE_CHECKING:
    from foveal.results.joining import Grown


def overlap(tree: Grown, other: Grown) -> dict[str, float]:
    """Stage -> how much two decisions rest on the same features: 0 not at all, 1 alike.

    Σ min(|a|, |b|) over what both hold with the same sign; a and b are shares of the two decisions, scaled to Σ |a| = 1
    and Σ |b| = 1.
    """
    joining = join([tree, other])
    shared = {}
    for number, stage in enumerate(tree.stages):
        a, b = ({place: share for place, share in joining.held(i).items() if place[0] == number} for i in (0, 1))
        size, other_size = (sum(map(abs, held.values())) for held in (a, b))
        if size and other_size:
            both = [place for place in a if a[place] * b.get(place, 0.0) > 0]
            shared[stage.name] = sum(min(abs(a[p]) / size, abs(b[p]) / other_size) for p in both)
    return shared

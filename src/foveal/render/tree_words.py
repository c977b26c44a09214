"""Numbers beside features, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foveal.render.drawable_trees import Vertex


def percent(share: float) -> str:
    """Three digits at most: "3.5 %", "0.04 %", "−12.0 %"."""
    size, sign = 100 * abs(share), "−" if share < 0 else ""
    return f"{sign}{size:.1f} %" if size >= 1 or size == 0 else f"{sign}{size:.1g} %"


def brief(share: float) -> str:
    """Two digits: "42 %", "3.5 %", "−12 %", "0 %"."""
    size = 100 * abs(share)
    return f"{'−' if share < 0 and size >= 0.05 else ''}{f'{size:.0f}' if size >= 9.95 else f'{size:.1f}'} %"


def count(number: int, what: str) -> str:
    """ "1 image", "2 images"."""
    return f"{number} {what}{'s' * (number != 1)}"


def label_of(feature: Vertex) -> str:
    """What stands below a feature: "channel 42", "channel 42 +3" for four that were merged, "part 2"."""
    if feature.part is not None:
        return f"part {feature.part + 1}"
    more = f" +{len(feature.channels) - 1}" if len(feature.channels) > 1 else ""
    return f"channel {feature.channel}{more}"

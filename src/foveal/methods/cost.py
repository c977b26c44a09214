"""What a map costs, in forward passes: an estimate before it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from foveal.attribution.method import Method

BACKWARD = 2.0  # forward passes: two matrix products where a forward pass has one


BEHIND = ("ablationcam",)
"""Methods whose passes begin at the layer."""


def forward_passes(method: Method, shape: Sequence[int], *, behind: float = 1.0) -> float | None:
    """How many forward passes of the whole network one map takes, about; a backward pass counts as two.

    None where the number of passes depends on the image.

    Args:
        method: with its options.
        shape: (c, h, w) of the layer, or of the input for a method of the input.
        behind: the share of the network that lies behind the layer.
    """
    if method.needs != "forwards":
        return 1.0 if method.needs == "activations" else 1 + BACKWARD
    options: dict[str, Any] = dict(method.options)
    number, _, each = method.cost.partition("/")
    if each == "channel":
        channels = options.get("clusters") or shape[0]
        return float(number) * channels * (behind if method.name in BEHIND else 1.0)
    if each == "window":
        return float(number) * _windows(options, shape[1:])
    forward, _, backward = method.cost.partition(" + ")
    try:
        return float(forward) + BACKWARD * float(backward or 0)
    except ValueError:
        return None


def _windows(options: dict[str, Any], sides: Sequence[int]) -> int:
    """How many places `occlusion` covers."""
    window = options.get("window") or max(1, min(sides) // 8)
    stride = options.get("stride") or max(1, window // 2)
    return math.prod(1 + math.ceil(max(side - window, 0) / stride) for side in sides)

"""The square of the image that shows a part best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foveal.images.place import Place

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.engine.structure import Stage

SIDES = (0.12, 0.18, 0.25, 0.35, 0.5)  # of the shorter side of the map
HELD = 0.5  # of the evidence, that is enough
MARGIN = 0.1  # of the square, around it


def densest_square(map: Float[Tensor, "h w"], stage: Stage, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 in the network's input: the smallest square with half of the evidence, else the best large one.

    Args:
        map: evidence of a position, at least 0.
        stage: whose positions these are.
        size: (h, w) of the network's input.
    """
    lie = Place(*stage.place) if stage.place else Place.covering((map.shape[0], map.shape[1]), size)
    evidence = lie.upright(map).double().clamp(min=0)
    for share in SIDES:
        side = max(1, round(share * min(evidence.shape)))
        y, x, held = _best(evidence, side)
        if held >= HELD:
            break
    ends = []
    for axis, first in ((0, y), (1, x)):
        step, length = abs(lie.step[axis]), (1 + 2 * MARGIN) * side * abs(lie.step[axis])
        start = (
            min(lie.offset[axis] + (end - 0.5) * lie.step[axis] for end in (first, first + side)) - MARGIN * side * step
        )
        start = max(0.0, min(start, size[axis] - length))
        ends.append((start, min(float(size[axis]), start + length)))
    (y0, y1), (x0, x1) = ends
    return x0, y0, x1, y1


def _best(evidence: Float[Tensor, "h w"], side: int) -> tuple[int, int, float]:
    """Row and column of the square of a side that holds most, and the share that it holds."""
    sums = torch.nn.functional.pad(evidence.cumsum(0).cumsum(1), (1, 0, 1, 0))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    best = int(inside.argmax())
    y, x = divmod(best, inside.shape[1])
    return y, x, float(inside[y, x] / sums[-1, -1].clamp(min=1e-300))

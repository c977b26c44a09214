"""How well the area under a curve is known from some of its points, and which gaps to halve to know it better.

Points are numbers 0 … n of equal steps. A gap of g steps hides g − 1 points. How far its trapezoid is off depends on
how the score moves over the gap, Δ, and on how that differs from the gaps beside it:

    e = g/n · √(1 − 1/g²) · (a |Δ| + b |bend|)          error = √(Σ e²)

`bend` is the larger change of slope at the two ends, times g. With these weights, the error is a little above the root
mean square of the true one on curves of real networks (docs/measure.md). A score that leaves and returns within one gap
cannot be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

OF_MOVE, OF_BEND = 0.2, 0.12


def gap_errors(points: Sequence[int], scores: Sequence[float]) -> list[float]:
    """What the trapezoid of each gap may be off by; 0 for gaps that hide no point."""
    n, gaps = points[-1], [b - a for a, b in pairwise(points)]
    moves = [after - before for before, after in pairwise(scores)]
    slopes = [move / gap for move, gap in zip(moves, gaps, strict=True)]
    turns = [0.0, *(abs(after - before) for before, after in pairwise(slopes)), 0.0]
    return [
        gap / n * (1 - 1 / gap**2) ** 0.5 * (OF_MOVE * abs(move) + OF_BEND * gap * max(turn))
        for gap, move, turn in zip(gaps, moves, pairwise(turns), strict=True)
    ]


def area_error(points: Sequence[int], scores: Sequence[float]) -> float:
    """Estimate of how far the area is from that of all points; gaps err independently."""
    return math.hypot(*gap_errors(points, scores))


def to_halve(points: Sequence[int], scores: Sequence[float], tolerance: float) -> list[int]:
    """The middles of as few gaps as should bring the error down to the tolerance; none if it is below."""
    errors = gap_errors(points, scores)
    gaps = sorted(zip(errors, pairwise(points), strict=True), reverse=True)
    left, middles = sum(error**2 for error in errors), list[int]()
    for error, (a, b) in gaps:
        if left <= tolerance**2 or error == 0:
            break
        left -= 0.75 * error**2
        middles.append((a + b) // 2)
    return sorted(middles)

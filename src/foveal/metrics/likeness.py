"""How alike two maps of one image are, in four ways. Specification: metrics, section 10.

spearman   rank correlation of the signed values, −1 to 1       absolute   of their sizes, which edges raise
ssim       structural similarity of the maps scaled to 0 … 1, −1 to 1 (Wang et al., 2004)
hog        Pearson's correlation of histograms of oriented gradients, −1 to 1
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from foveal.metrics.shape import unit
from foveal.metrics.statistics import pearson
from foveal.metrics.statistics import spearman as rank_correlation

if TYPE_CHECKING:
    from jaxtyping import Float

WINDOW = 7
BINS, CELLS = 8, 4


def spearman(a: Float[Tensor, "h w"], b: Float[Tensor, "h w"]) -> float:
    """Spearman's rank correlation of the signed values of two maps, −1 to 1."""
    return rank_correlation(a.double().flatten(), b.double().flatten())


def absolute(a: Float[Tensor, "h w"], b: Float[Tensor, "h w"]) -> float:
    """Spearman's rank correlation of the absolute values of two maps, −1 to 1."""
    return rank_correlation(a.double().abs().flatten(), b.double().abs().flatten())


def ssim(a: Float[Tensor, "h w"], b: Float[Tensor, "h w"]) -> float:
    """The mean over windows of 7 × 7 positions, or as many as there are, with the customary constants."""
    x, y = (unit(map.double())[None, None] for map in (a, b))
    if not bool(x.any()) or not bool(y.any()):
        return math.nan  # a map that is the same everywhere has no structure
    size = min(WINDOW, *a.shape)
    c1, c2 = 0.01**2, 0.03**2

    def mean(v: Tensor) -> Tensor:
        return functional.avg_pool2d(v, size, 1)

    mx, my = mean(x), mean(y)
    vx, vy, xy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    return float(((2 * mx * my + c1) * (2 * xy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def hog(a: Float[Tensor, "h w"], b: Float[Tensor, "h w"]) -> float:
    """Eight orientations, 4 × 4 cells, weighed by the size of the gradient."""
    return pearson(_histograms(a), _histograms(b))


def _histograms(map: Float[Tensor, "h w"]) -> Float[Tensor, " d"]:
    v = unit(map.double())
    padded = functional.pad(v[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    dy, dx = padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2]
    which = ((torch.atan2(dy, dx) % math.pi) / math.pi * BINS).long().clamp(max=BINS - 1)
    planes = functional.one_hot(which, BINS).permute(2, 0, 1) * torch.hypot(dy, dx)
    cells = (min(CELLS, map.shape[0]), min(CELLS, map.shape[1]))
    return functional.adaptive_avg_pool2d(planes[None], cells).flatten()


LIKENESS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "spearman": spearman,
    "absolute": absolute,
    "ssim": ssim,
    "hog": hog,
}

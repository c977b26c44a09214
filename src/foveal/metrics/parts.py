"""Ranked maps of one image, such as attention maps of parts: does each matter, in the order they claim?

Maps are (k, h, w), the most important first. Specification: metrics, section 11.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics.asking import Ask
from foveal.metrics.baselines import Fill
from foveal.metrics.masked import masked
from foveal.metrics.shape import unit
from foveal.metrics.statistics import kendall

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


def part_drops(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    maps: Float[Tensor, "k h2 w2"],
    *,
    fill: Fill = "zero",
    seed: int = 0,
    place: Place | None = None,
) -> Float[Tensor, " k"]:
    """What the score loses when the positions of one map alone are hidden, in the score's unit."""
    if maps.ndim != 3 or len(x) != 1:
        raise MethodError(f"parts are maps (k, h, w) of one image (1, c, h, w), not {tuple(maps.shape)}")
    drops = masked(ask, x.expand(len(maps), *x.shape[1:]), maps, fill=fill, seed=seed, place=place)
    return drops.whole - drops.hidden


def falling(drops: Float[Tensor, " k"]) -> float:
    """Kendall's τ of the drops with the order claimed, −1 to 1: 1 where each map matters less than the one before."""
    return kendall(torch.arange(len(drops), 0, -1).numpy(), drops.detach().cpu().numpy())


def overlap(maps: Float[Tensor, "k h w"]) -> float:
    """The mean cosine of each two maps, 0 to 1 for positive ones; lower is more diverse. NaN for a single map."""
    if len(maps) < 2:
        return math.nan
    flat = functional.normalize(unit(maps).flatten(1).double(), dim=1)
    pairs = flat @ flat.T
    return float((pairs.sum() - pairs.trace()) / (len(maps) * (len(maps) - 1)))


def coverage(
    maps: Float[Tensor, "k h w"],
    inside: Bool[Tensor, "h2 w2"],
    *,
    threshold: float = 0.5,
    place: Place | None = None,
) -> float:
    """The share of the object that some map covers, 0 to 1: where it reaches `threshold` of its largest value.

    `place` is where the cells of the maps lie on the image; None is edge to edge.
    """
    if not bool(inside.any()):
        return math.nan
    grown = laid(unit(maps), inside.shape, place)
    return float((grown.amax(0) >= threshold)[inside].double().mean())

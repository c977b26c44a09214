"""The score without the share of the image that a map marks most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from foveal.metrics.asking import Ask
from foveal.metrics.baselines import Fill, hidden
from foveal.metrics.curves import ranks

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


def marked(map: Float[Tensor, "h w"], share: float, *, seed: int = 0) -> Bool[Tensor, "h w"]:
    """The positions that hold most, exactly this share of all; only those above 0, so there may be fewer.

    Equals are in a random order that the seed decides.
    """
    chosen: Bool[Tensor, "h w"] = (ranks(map, seed=seed) < round(share * map.numel())).to(map.device) & (map > 0)
    return chosen


def score_without(
    ask: Ask, x: Float[Tensor, "1 c h w"], where: Bool[Tensor, "h2 w2"], *, fill: Fill = "zero", seed: int = 0
) -> float:
    """The score of an image without these positions of a grid that tiles it."""
    grown = functional.interpolate(where[None, None].to(x), x.shape[2:], mode="nearest") > 0
    with torch.no_grad():
        return float(ask(hidden(x, grown, fill, seed=seed))[0])

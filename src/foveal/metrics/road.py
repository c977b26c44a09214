"""ROAD: remove the most and the least important shares of pixels so that the hole is hard to see. No retraining.

    most      score without the top p %: it should fall         least     without the bottom p %: it should hold

(Rong et al., ICML 2022, arXiv:2202.00449; specification: metrics, section 8.) Pixels are chosen by rank, exactly as
many as p says, also of a map that is zero nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics.asking import AlteredCopies, Answers, Ask, Experiment, whole_score
from foveal.metrics.curves import ranks
from foveal.metrics.imputing import impute

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True, eq=False)
class Road:
    """Scores (k,) without the top and without the bottom share, for k shares, and of the whole image."""

    shares: tuple[float, ...]
    whole: float
    most: Float[Tensor, " k"]
    least: Float[Tensor, " k"]

    @property
    def most_first(self) -> float:
        """The mean score without the most important pixels (MoRF): lower is better."""
        return float(self.most.mean())

    @property
    def least_first(self) -> float:
        """The mean score without the least important pixels (LeRF): higher is better."""
        return float(self.least.mean())

    @property
    def combined(self) -> float:
        """Half the difference of the two; higher is better, 0 for a map that knows nothing."""
        return float((self.least - self.most).mean()) / 2


def road(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"],
    *,
    shares: Sequence[float] = SHARES,
    noise: float = 0.01,
    whole: float | None = None,
    chunk: int | None = None,
    seed: int = 0,
    place: Place | None = None,
) -> Road:
    """The scores of one image without its most and its least important pixels.

    Args:
        map: of any size; it is interpolated to the image's, from where its cells lie: `place`, None is edge to edge.
        shares: of pixels to remove, each above 0 and below 1: without any pixel left nothing can be imputed.
        noise: added to what is filled in, see `impute`.
        whole: the score of the image as it is, where it is known.
    """
    experiment = removing(x, map, shares=shares, noise=noise, seed=seed, place=place)
    return Answers(ask, x, whole=whole, chunk=chunk).of(experiment)


def removing(
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"],
    *,
    shares: Sequence[float] = SHARES,
    noise: float = 0.01,
    seed: int = 0,
    place: Place | None = None,
) -> Experiment[Road]:
    """The experiment of `road`."""
    if len(x) != 1 or map.ndim != 2 or not bool(torch.isfinite(map).all()):
        raise MethodError(f"ROAD takes one image and a finite map (h, w), not {tuple(x.shape)}, {tuple(map.shape)}")
    size = (x.shape[2], x.shape[3])
    holes = torch.cat([removed(side, size, share, seed=seed, place=place) for side in (map, -map) for share in shares])
    packed = np.packbits(holes.flatten(1).cpu().numpy(), axis=1)

    def imputed(numbers: Sequence[int]) -> Tensor:
        return impute(x, holes[list(numbers)].to(x.device), noise=noise, seed=seed)

    whole = yield from whole_score(x)
    scores = yield AlteredCopies([("imputed", noise, seed, row.tobytes()) for row in packed], imputed)
    most, least = scores.float().split(len(shares))
    return Road(tuple(shares), whole, most, least)


def removed(
    map: Float[Tensor, "h w"], size: tuple[int, int], share: float, *, seed: int = 0, place: Place | None = None
) -> Bool[Tensor, "1 1 h2 w2"]:
    """The top share of the image's pixels, exactly as many as it says; the seed breaks ties."""
    count = round(share * size[0] * size[1])
    if not 0 < count < size[0] * size[1]:
        raise MethodError(
            f"cannot remove {100 * share:.4g} % of {size[0]} × {size[1]} pixels: remove at least one pixel, and leave "
            "at least one"
        )
    return (ranks(laid(map.detach().float(), size, place), seed=seed) < count)[None, None]

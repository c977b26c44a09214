"""Deletion and insertion: the score while the image disappears or appears, most important positions first.

    deletion    the top share of positions is replaced by the baseline: a true map makes the score fall early
    insertion   … of the baseline by the image: a true map makes it rise early

(Petsiuk et al., BMVC 2018, arXiv:1806.07421; specification: metrics, sections 4 and 5.) For the area only the order of
positions counts. Whether the map's values foretell how far the score moves is the curve's correlation (Gomez et al.,
arXiv:2201.13291).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional

from foveal.engine.chunks import WHOLE, chunked
from foveal.engine.memory import load_when_asked
from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics.baselines import Fill, baseline
from foveal.metrics.imputing import impute
from foveal.metrics.statistics import pearson, spearman

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Ask = Callable[[Tensor], Tensor]
"""Inputs (k, c, h, w) to scores (k,)."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The scores along the way.

    Attributes:
        shares: (k + 1,), of the positions changed, from 0 to 1.
        scores: (k + 1,).
        better: whether a small or a large area below the curve is good.
        weights: (k,), the mean of the map over the positions that each step changes.
        alone: each step changed its own positions only, instead of these and all before.
    """

    shares: Float[Tensor, " k"]
    scores: Float[Tensor, " k"]
    better: Literal["lower", "higher"]
    weights: Float[Tensor, " k"] | None = None
    alone: bool = False

    @property
    def area(self) -> float:
        """Under the curve, by trapezia, both ends included; 0 to 1 for scores in 0..1."""
        return float(torch.trapezoid(self.scores.double(), self.shares.double()))

    @property
    def moves(self) -> Float[Tensor, " k"]:
        """How far each step moves the score the way a true map would: down in deletion, up in insertion."""
        step = self.scores[1:] - (self.scores[:1] if self.alone else self.scores[:-1])
        return -step if self.better == "lower" else step

    @property
    def correlation(self) -> float:
        """Pearson's, of the moves with the map's values; −1 to 1, higher is better; NaN where either is constant."""
        return pearson(self.moves.double(), self._weights())

    @property
    def rank_correlation(self) -> float:
        """Spearman's of the same, which one large step does not decide."""
        return spearman(self.moves.double(), self._weights())

    @property
    def validity(self) -> float:
        """The share of steps in which the score moves the right way."""
        return float((self.moves > 0).double().mean())

    def _weights(self) -> Tensor:
        assert self.weights is not None
        return self.weights.double()


def deletion(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"],
    *,
    steps: int = 196,
    fill: Fill = "zero",
    alone: bool = False,
    chunk: int | None = None,
    seed: int = 0,
) -> Curve:
    """The score while the most important positions of the image are replaced.

    Args:
        ask: the score of altered copies.
        map: of any size; positions are its cells. Negative evidence counts as least important.
        steps: at most; shares are spread evenly.
        fill: what replaces them, see `baseline`; "impute" makes it up from what is left.
        alone: each step changes its own positions only.
        chunk: copies asked at once, None for what fits; the result does not depend on it.
        seed: of the order among equals.
    """
    end = baseline(x, fill, seed=seed)
    if isinstance(fill, str) and fill == "impute":

        def changed(where: Tensor) -> Tensor:
            last = where.flatten(1).all(1)  # nothing is left to impute from
            made = impute(x, where & ~last[:, None, None, None], seed=seed)
            return torch.where(last[:, None, None, None], end, made)
    else:

        def changed(where: Tensor) -> Tensor:
            return torch.where(where, end, x)

    return Curve(*_path(ask, x, changed, map, steps, alone, chunk, seed), alone=alone)


def insertion(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"],
    *,
    steps: int = 196,
    fill: Fill = "blur",
    alone: bool = False,
    chunk: int | None = None,
    seed: int = 0,
) -> Curve:
    """The score while they are restored, from an image with nothing in it; arguments as for `deletion`."""
    begin = baseline(x, fill, seed=seed)

    def changed(where: Tensor) -> Tensor:
        return torch.where(where, x, begin)

    shares, scores, _, weights = _path(ask, x, changed, map, steps, alone, chunk, seed)
    return Curve(shares, scores, "higher", weights, alone)


def ranks(map: Float[Tensor, "h w"], *, seed: int = 0) -> Int[Tensor, "h w"]:
    """0 for the most important place, h·w − 1 for the least; equals in a random order that the seed decides."""
    flat = map.detach().flatten().cpu()
    shuffled = torch.randperm(len(flat), generator=torch.Generator().manual_seed(seed))
    order = shuffled[flat[shuffled].argsort(descending=True, stable=True)]
    ranking = torch.empty_like(order)
    ranking[order] = torch.arange(len(order))
    return ranking.view_as(map)


def regrid(
    map: Float[Tensor, "h w"],
    size: tuple[int, int],
    place: Place | None = None,
    image: Sequence[int] | None = None,
) -> Float[Tensor, "h2 w2"]:
    """The map on a grid that tiles the image: the mean over positions where it is coarser, bilinear where it is finer.

    Maps of different methods are compared on one grid: removing dust and removing blocks are different questions.

    Args:
        place: where the map's cells lie on an image of that size; None is edge to edge.
    """
    map = map.detach().float()
    if map.shape[0] < size[0] or map.shape[1] < size[1]:
        return laid(map, size, place, image)
    if place is not None:  # in tiles as fine as the map first
        map = laid(map, map.shape, place, image)
    return functional.adaptive_avg_pool2d(map[None, None], size)[0, 0]


def _path(
    ask: Ask, x: Tensor, changed: Callable[[Tensor], Tensor], map: Tensor, steps: int, alone: bool, chunk: int | None,
    seed: int,
) -> tuple[Tensor, Tensor, Literal["lower"], Tensor]:  # fmt: skip
    """Shares, scores and mean map values on the way from no place to all."""
    if len(x) != 1 or map.ndim != 2 or map.shape[0] > x.shape[2] or map.shape[1] > x.shape[3]:
        raise MethodError(
            f"a curve is of one image (1, c, h, w) and a map (h, w) no larger, but got {tuple(x.shape)} and "
            f"{tuple(map.shape)}"
        )
    map = map.detach().double().cpu()
    if not bool(torch.isfinite(map).all()):
        raise MethodError("a curve needs a map of finite numbers, but this one has others")
    if steps < 1 or (chunk is not None and chunk < 1):
        raise MethodError(f"a curve needs at least one step and at least one copy at a time, not {steps} and {chunk}")
    cells, rank = map.numel(), ranks(map, seed=seed)
    steps = min(steps, cells)
    counts = torch.tensor([round(k * cells / steps) for k in range(steps + 1)])
    first = torch.cat([counts[:1], counts[:-1]]) if alone else torch.zeros_like(counts)
    grown = functional.interpolate(rank[None, None].double(), x.shape[2:], mode="nearest").to(x.device)

    def score(start: int, stop: int) -> Tensor:
        low, high = (ends[start:stop].to(grown).view(-1, 1, 1, 1) for ends in (first, counts))
        scores = ask(changed((grown >= low) & (grown < high))).detach().float().cpu()
        if scores.shape != (stop - start,):
            raise MethodError(
                f"ask gave {tuple(scores.shape)} for {stop - start} copies: it must give one score per copy"
            )
        return scores

    with torch.no_grad():
        scores = chunked(chunk, x, WHOLE, load_when_asked(ask, x))(score, len(counts), lambda done, total: None)
    in_order = map.flatten()[rank.flatten().argsort()].double().cumsum(0)
    sums = torch.cat([torch.zeros(1).double(), in_order])[counts]
    return counts / cells, scores, "lower", sums.diff() / counts.diff()

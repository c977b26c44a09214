"""Deletion and insertion: the score while the image disappears or appears, most important positions first.

    deletion    the top share of positions is replaced by the baseline: a true map makes the score fall early
    insertion   … of the baseline by the image: a true map makes it rise early

(Petsiuk et al., BMVC 2018, arXiv:1806.07421; specification: metrics, sections 4 and 5.) For the area only the order of
positions counts. Whether the map's values foretell how far the score moves is the curve's correlation (Gomez et al.,
arXiv:2201.13291).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import MethodError
from foveal.images.place import Place, laid
from foveal.metrics.asking import WHOLE, AlteredCopies, Answers, Ask, Experiment
from foveal.metrics.baselines import Fill, baseline, empty_key, fill_key
from foveal.metrics.halving import area_error, to_halve
from foveal.metrics.imputing import impute
from foveal.metrics.statistics import pearson, spearman

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Curve:
    """The scores along the way.

    Attributes:
        shares: (k + 1,), of the positions changed, from 0 to 1.
        scores: (k + 1,).
        better: whether a small or a large area below the curve is good.
        weights: (m,), the mean of the map over the positions that each step changes.
        alone: each step changed its own positions only, instead of these and all before.
        coarse: (m + 1,), where only every second step was sure to be asked: which of the points these are. Moves and
            correlations are over them.
        error: estimate of how far the area is from that of all steps, see `foveal.metrics.halving`.
    """

    shares: Float[Tensor, " k"]
    scores: Float[Tensor, " k"]
    better: Literal["lower", "higher"]
    weights: Float[Tensor, " m"] | None = None
    alone: bool = False
    coarse: Int[Tensor, " m"] | None = None
    error: float = 0.0

    @property
    def area(self) -> float:
        """Under the curve, by trapezia, both ends included; 0 to 1 for scores in 0..1."""
        return float(torch.trapezoid(self.scores.double(), self.shares.double()))

    @property
    def moves(self) -> Float[Tensor, " m"]:
        """How far each step moves the score the way a true map would: down in deletion, up in insertion.

        Of an odd number of steps, every second leaves a step of half the size: coarse moves are per position.
        """
        scores = self.scores if self.coarse is None else self.scores[self.coarse]
        step = scores[1:] - (scores[:1] if self.alone else scores[:-1])
        if self.coarse is not None:
            sizes = self.shares[self.coarse].diff()
            step = step * (sizes.mean() / sizes)
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
    tolerance: float | None = None,
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
        tolerance: None asks all steps. Else every second step is asked, and correlations are over these; then steps
            between them, until the estimated error of the area is at most this.
        fill: what replaces them, see `baseline`; "impute" makes it up from what is left.
        alone: each step changes its own positions only.
        chunk: copies asked at once, None for what fits; the result does not depend on it.
        seed: of the order among equals.
    """
    path = CurvePath(x, map, "deletion", steps=steps, tolerance=tolerance, fill=fill, alone=alone, seed=seed)
    return Answers(ask, x, chunk=chunk).of(path.measured())


def insertion(
    ask: Ask,
    x: Float[Tensor, "1 c h w"],
    map: Float[Tensor, "h2 w2"],
    *,
    steps: int = 196,
    tolerance: float | None = None,
    fill: Fill = "blur",
    alone: bool = False,
    chunk: int | None = None,
    seed: int = 0,
) -> Curve:
    """The score while they are restored, from an image with nothing in it; arguments as for `deletion`."""
    path = CurvePath(x, map, "insertion", steps=steps, tolerance=tolerance, fill=fill, alone=alone, seed=seed)
    return Answers(ask, x, chunk=chunk).of(path.measured())


class CurvePath:
    """The way of one curve, from no position to all, and the scores that are known along it.

    Args:
        kind: "deletion" replaces the most important positions by `fill`; "insertion" restores them.

    The others are those of `deletion`.
    """

    def __init__(
        self,
        x: Float[Tensor, "1 c h w"],
        map: Float[Tensor, "h2 w2"],
        kind: Literal["deletion", "insertion"],
        *,
        steps: int = 196,
        tolerance: float | None = None,
        fill: Fill = "zero",
        alone: bool = False,
        seed: int = 0,
    ) -> None:
        fits = map.ndim == x.ndim - 2 and all(own <= side for own, side in zip(map.shape, x.shape[2:], strict=True))
        if len(x) != 1 or not fits:
            raise MethodError(
                f"a curve is of one image (1, c, h, w) and a map (h, w) no larger, or of (1, c, *space) and (*space), "
                f"but got {tuple(x.shape)} and {tuple(map.shape)}"
            )
        map = map.detach().double().cpu()
        if not bool(torch.isfinite(map).all()):
            raise MethodError("a curve needs a map of finite numbers, but this one has others")
        if steps < 1:
            raise MethodError(f"a curve needs at least one step, not {steps}")
        if alone and tolerance is not None:
            raise MethodError("steps that are changed alone make no area that could be known to a tolerance")
        self._x, self._kind, self._fill, self._alone, self._seed = x, kind, fill, alone, seed
        self._imputed = isinstance(fill, str) and fill == "impute"
        if self._imputed and x.ndim != 4:
            raise MethodError(
                f"curves of inputs {tuple(x.shape)} cannot impute what they remove: say mean, blur or zero"
            )
        self._map, self._rank = map, ranks(map, seed=seed)
        steps = min(steps, map.numel())
        self._tolerance = tolerance
        self._counts = [round(k * map.numel() / steps) for k in range(steps + 1)]
        self._first = [*range(0, steps, 1 if tolerance is None else 2), steps]
        self._scores: dict[int, float] = {}
        self._empty = baseline(x, fill, seed=seed)
        self._grown = functional.interpolate(self._rank[None, None].double(), x.shape[2:], mode="nearest").to(x.device)

    def measured(self, tolerance: float | None = None) -> Experiment[Curve]:
        """Asks until the area is known to the tolerance, its own or a smaller one; goes on where it was left."""
        tolerance = self._tolerance if tolerance is None else tolerance
        while points := self._left(tolerance):
            scores = yield AlteredCopies([self._key(point) for point in points], partial(self._copies, points))
            self._scores |= dict(zip(points, scores.tolist(), strict=True))
        return self.curve

    @property
    def curve(self) -> Curve:
        """As far as it is known."""
        points, scores = self._known()
        counts = torch.tensor([self._counts[point] for point in points])
        coarse = torch.tensor([points.index(point) for point in self._first])
        in_order = self._map.flatten()[self._rank.flatten().argsort()].cumsum(0)
        sums = torch.cat([torch.zeros(1).double(), in_order])[counts[coarse]]
        return Curve(
            counts / self._map.numel(),
            torch.tensor(scores),
            "lower" if self._kind == "deletion" else "higher",
            sums.diff() / counts[coarse].diff(),
            self._alone,
            None if self._tolerance is None else coarse,
            area_error(points, scores),
        )

    def _left(self, tolerance: float | None) -> list[int]:
        """The points to ask about next."""
        if not self._scores:
            return self._first
        return [] if tolerance is None else to_halve(*self._known(), tolerance)

    def _known(self) -> tuple[list[int], list[float]]:
        points = sorted(self._scores)
        return points, [self._scores[point] for point in points]

    def _span(self, point: int) -> tuple[int, int]:
        """The ranks that are changed at this point."""
        return self._counts[max(point - 1, 0)] if self._alone else 0, self._counts[point]

    def _key(self, point: int) -> Hashable:
        """A copy is what stands in which cells."""
        low, high = self._span(point)
        changed = (self._rank >= low) & (self._rank < high)
        filled = changed if self._kind == "deletion" else ~changed
        if not bool(filled.any()):
            return WHOLE
        if bool(filled.all()):
            return empty_key(self._fill, self._seed)
        how = self._kind if self._imputed else ""
        return fill_key(self._fill, self._seed), how, tuple(filled.shape), np.packbits(filled.numpy()).tobytes()

    def _copies(self, points: Sequence[int], numbers: Sequence[int]) -> Tensor:
        spans = torch.tensor([self._span(points[number]) for number in numbers]).to(self._grown)
        low, high = spans.T.reshape(2, -1, *[1] * (self._x.ndim - 1))
        changed = (self._grown >= low) & (self._grown < high)
        if self._kind == "insertion":
            return torch.where(changed, self._x, self._empty)
        if not self._imputed:
            return torch.where(changed, self._empty, self._x)
        last = changed.flatten(1).all(1)[:, None, None, None]  # nothing is left to impute from
        return torch.where(last, self._empty, impute(self._x, changed & ~last, seed=self._seed))


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
    size: Sequence[int],
    place: Place | None = None,
    image: Sequence[int] | None = None,
) -> Float[Tensor, "h2 w2"]:
    """The map on a grid that tiles the image: the mean over positions where it is coarser, bilinear where it is finer.

    Maps of different methods are compared on one grid: removing dust and removing blocks are different questions.

    Args:
        place: where the map's cells lie on an image of that size; None is edge to edge.
    """
    map = map.detach().float()
    if any(own < wanted for own, wanted in zip(map.shape, size, strict=True)):
        return laid(map, size, place, image)
    if place is not None:  # in tiles as fine as the map first
        map = laid(map, map.shape, place, image)
    pooled: Tensor = _POOLS[map.ndim](map[None, None], tuple(size))[0, 0]
    return pooled


_POOLS: Mapping[int, Callable[..., Tensor]] = {
    1: functional.adaptive_avg_pool1d, 2: functional.adaptive_avg_pool2d, 3: functional.adaptive_avg_pool3d,
}  # fmt: skip

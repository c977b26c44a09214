"""A minority of decisions that lies apart from the others along one direction.

What a few decisions share may be a few channels, which hold little of the variance of all: distances between decisions
do not show it. So a direction is looked for along which decisions fall into two. First each feature alone is split at
its best threshold. Then, in turns until nothing changes, decisions are placed along the discriminant direction of the
split (Fisher, 1936; as ridge regression on the two sides, each decision placed by the rule that the others give), and
split at the best threshold of these places: discriminant analysis and clustering in turns (Ding and Li, ICML 2007).

How good a split is, is said by the classification likelihood (Symons, Biometrics 1981): how much likelier places are
under two normal distributions of one variance, each with its own members, than under one, for each decision:

    gain = −½ ln(W / T) − H         W, T   the sum of squares within the two sides, and in all
                                    H      the entropy of being in the one or the other

Halves of one normal distribution have −0.18, halves of a uniform one 0. The best of all directions has more by chance,
the more the fewer decisions and the more features there are. What counts as clear lies above what chance reached in
classes without a cue (0.38 in 120 classes of some 80 decisions of 128 features; `benchmarks.reasons`, seeds 0 to 5; on
seeds 6 and 7, looked at later, two of 40 lay above) and, but for few features with very long tails, in features without
groups (`benchmarks.minority`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from numpy.typing import NDArray

    Features = Float[NDArray[np.float64], "n d"]
    Sides = Bool[NDArray[np.bool_], "n k"]

CLEAR, IN_ALL = 0.4, 24.0
"""The least gain of a minority that lies clearly apart: for each decision, and over all of them."""
FEATURES, DOUBLED = 128, 5.0
"""From so many features on, the least gain over all decisions is larger, by so much for each doubling."""
FEWEST, SHARE, MOST = 5, 0.08, 0.5
"""A minority has so many members at least, and is at least and at most such a share of all."""
STARTS, TURNS = 64, 8
FLOOR = 0.1
"""Features that differ less than this share of the one that differs most count less."""
ROUNDING = 1e-6
"""Spread, as a share of the largest number of a block, below which a feature is constant."""
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""In units of the mean variance along the principal components; the one that errs least is taken."""


@dataclass(frozen=True)
class Minority:
    """A few decisions that have something in common.

    Attributes:
        own: (n,), which they are.
        gain: how clearly they lie apart, for each decision.
        features: how many there are.
    """

    own: Bool[NDArray[np.bool_], " n"]
    gain: float
    features: int

    @property
    def clear(self) -> bool:
        """Further apart than chance makes them."""
        in_all = IN_ALL + DOUBLED * max(0.0, math.log2(self.features / FEATURES))
        return self.gain >= CLEAR and self.gain * len(self.own) >= in_all


def clear_minorities(
    *features: Float[NDArray[Any], "n _"], most: int
) -> tuple[list[Int[NDArray[np.intp], " k"]], Int[NDArray[np.intp], " m"]]:
    """The rows of each minority that lies clearly apart, and those left; one after the other, each out of what is left.

    Args:
        features: as of `minority`.
        most: minorities, at most.
    """
    odd: list[NDArray[np.intp]] = []
    left = np.arange(len(features[0]))
    while len(odd) < most:
        apart = minority(*(block[left] for block in features))
        if apart is None or not apart.clear:
            break
        odd.append(left[apart.own])
        left = left[~apart.own]
    return odd, left


def minority(*features: Float[NDArray[Any], "n _"]) -> Minority | None:
    """The minority that lies furthest apart; None where there are too few decisions, or no differences.

    Args:
        features: blocks of them, each in its own unit.
    """
    points = np.concatenate([_standardized(block.astype(np.float64)) for block in features], 1)
    points = points[:, points.any(0)]
    least = max(FEWEST, round(SHARE * len(points)))
    if points.shape[1] == 0 or least > MOST * len(points):
        return None
    gains, sides = best_splits(points, least)
    sides = sides[:, np.argsort(-gains, kind="stable")[:STARTS]]
    rule = _Discriminant(points)
    for _ in range(TURNS):
        gains, again = best_splits(rule.places(sides), least)
        if np.array_equal(again, sides):
            break
        sides = again
    best = int(gains.argmax())
    return Minority(sides[:, best], float(gains[best]), points.shape[1])


def best_splits(
    values: Float[NDArray[np.float64], "n k"], least: int
) -> tuple[Float[NDArray[np.float64], " k"], Sides]:
    """The gain of the best split of each column, and which decisions are on its upper, smaller side."""
    n = len(values)
    order = np.argsort(values, 0, kind="stable")
    sorted_values = np.take_along_axis(values, order, 0) - values.mean(0)
    sums, squares = sorted_values.cumsum(0), (sorted_values**2).cumsum(0)
    count = np.arange(least, int(MOST * n) + 1)[:, None]
    low, last = sums[n - count[:, 0] - 1], n - count
    W = squares[-1] - low**2 / last - (sums[-1] - low) ** 2 / count
    T = np.maximum(squares[-1], 1e-12)
    share = count / n
    H = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    gain = -0.5 * np.log(np.maximum(W / T, 1e-9)) - H
    best = gain.argmax(0)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(n)[:, None], order.shape), 0)
    return gain[best, np.arange(values.shape[1])], rank >= n - count[best, 0]


class _Discriminant:
    """Places decisions along the direction that tells two sides apart, each by the rule that the others give."""

    def __init__(self, points: Features) -> None:
        self._U, self._variance = _principal(points - points.mean(0))

    def places(self, sides: Sides) -> Float[NDArray[np.float64], "n k"]:
        wanted = np.where(sides, 1.0, -1.0)
        mean = wanted.mean(0)
        along = self._U.T @ (wanted - mean)
        least, places = np.full(wanted.shape[1], np.inf), wanted
        for ridge in RIDGES:
            kept = self._variance / (self._variance + ridge * self._variance.mean())
            leverage = (self._U**2 * kept).sum(1) + 1 / len(wanted)
            fitted = self._U @ (kept[:, None] * along) + mean
            left_out = wanted - (wanted - fitted) / (1 - leverage)[:, None]
            error = ((wanted - left_out) ** 2).sum(0)
            places = np.where(error < least, left_out, places)
            least = np.minimum(error, least)
        return places


def _principal(centered: Features) -> tuple[Float[NDArray[np.float64], "n r"], Float[NDArray[np.float64], " r"]]:
    """Places along the principal components, of unit length, and their variances times n; by the smaller product."""
    n, d = centered.shape
    variance, vectors = np.linalg.eigh(centered @ centered.T if n <= d else centered.T @ centered)
    kept = variance / variance[-1] > 1e-10
    U = vectors[:, kept] if n <= d else centered @ vectors[:, kept] / np.sqrt(variance[kept])
    return U, variance[kept]


def _standardized(block: Features) -> Features:
    """Zero where decisions differ by no more than rounding."""
    spread = block.std(0)
    differs = spread > ROUNDING * np.abs(block).max()
    scale = np.where(differs, spread + FLOOR * spread.max(), 1)
    return np.asarray(np.where(differs, (block - block.mean(0)) / scale, 0))

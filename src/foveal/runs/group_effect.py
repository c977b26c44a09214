"""What altering images costs those of a group, beside what it costs others of their class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray


@dataclass(frozen=True)
class GroupEffect:
    """By how much the score falls when images are altered, in a group and elsewhere in its class.

    Attributes:
        effect: in the images of the group, the mean.
        chance, spread: in as many other images of the class, drawn at random many times: the mean of these means, and
            their standard deviation.
        beats: the share of those draws that cost less, 0 to 1.
        p: the chance of such an effect, by a permutation test; of a `ReasonGroup`, corrected for all tests (Holm).
        area: the share of an image that was altered, 0 to 1.
    """

    effect: float
    chance: float
    spread: float
    beats: float
    p: float
    area: float = 1.0


def compared(
    lost: Float[NDArray[np.float64], " n"], inside: int, draws: int, random: np.random.Generator, area: float = 1.0
) -> GroupEffect:
    """The effect by what n images lost, of which the first `inside` are those of the group."""
    effect, others = float(lost[:inside].mean()), lost[inside:]
    means = np.array([random.choice(others, inside).mean() for _ in range(draws)])
    p = permuted(lost, inside, draws, random)
    return GroupEffect(effect, float(means.mean()), float(means.std()), float((means < effect).mean()), p, area)


def permuted(lost: Float[NDArray[np.float64], " n"], inside: int, draws: int, random: np.random.Generator) -> float:
    """How often the first `inside` numbers exceed the others by as much when numbers are dealt out at random."""
    whole = lost.sum()

    def excess(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(sums / inside - (whole - sums) / (len(lost) - inside))

    dealt = np.array([random.permutation(lost)[:inside].sum() for _ in range(draws)])
    return float((np.sum(excess(dealt) >= excess(lost[:inside].sum()) - 1e-12) + 1) / (draws + 1))

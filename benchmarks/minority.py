"""How far apart a minority lies by chance: the gain over all decisions in features without groups.

    python -m benchmarks.minority

Three kinds of features: each alone with an exponential distribution; a few factors that all features share, with
log-normal tails; the same with tails twice as long. What `foveal.runs.minority` calls clear must lie above.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import typer
from numpy.typing import NDArray

from foveal.runs.minority import CLEAR, DOUBLED, FEATURES, IN_ALL, minority

Block = NDArray[np.float64]


def alone(n: int, c: int, random: np.random.Generator) -> tuple[Block, Block]:
    return random.gamma(1, size=(n, c)), random.gamma(1, size=(n, c))


def shared(n: int, c: int, random: np.random.Generator, tail: float = 0.5) -> tuple[Block, Block]:
    factors = max(6, c // 16)
    along = random.normal(size=(n, factors)) @ random.normal(size=(factors, c)) / factors**0.5
    sums = np.exp(tail * (along + 0.7 * random.normal(size=(n, c))))
    return sums, sums * np.exp(0.3 * random.normal(size=(n, c)))


def long_tailed(n: int, c: int, random: np.random.Generator) -> tuple[Block, Block]:
    return shared(n, c, random, tail=1.0)


KINDS: dict[str, Callable[[int, int, np.random.Generator], tuple[Block, Block]]] = {
    "alone": alone, "shared": shared, "shared, long tails": long_tailed,
}  # fmt: skip


def main(seeds: int = 12) -> None:
    """Median and largest gain over all decisions, and how many of the seeds are called clear."""
    print("| decisions | channels | least gain | " + " | ".join(KINDS) + " |\n|" + "---|" * (3 + len(KINDS)))
    for n in (20, 30, 50, 80, 150):
        for c in (64, 512, 2048):
            least = max(CLEAR * n, IN_ALL + DOUBLED * max(0.0, np.log2(2 * c / FEATURES)))
            cells = []
            for kind in KINDS.values():
                each = [minority(*kind(n, c, np.random.default_rng(seed))) for seed in range(seeds)]
                gains = [n * one.gain for one in each if one]
                clear = sum(one.clear for one in each if one)
                cells.append(f"{np.median(gains):.0f}, {max(gains):.0f}; {clear} of {seeds}")
            print(f"| {n} | {c} | {least:.0f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)

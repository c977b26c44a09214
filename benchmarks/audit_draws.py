"""Whether an audit says the same with fewer areas hidden for comparison.

python -m benchmarks.audit_draws photos/*.jpg --model tests/real_networks.py:resnet50

A map is better than chance, worse, or neither: the score falls by more than mean + deviation of the other areas, by
less than mean − deviation, or in between. Two audits of one map have other areas in common with none of the other's.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

import foveal
from foveal.results.deletion_test import DeletionTest

DRAWS = 40
FEW, MANY = 12, 20
PAIRS = 200  # of two audits of a map, drawn from its areas
STUDENT = {12: 2.201, 20: 2.093}  # 95 %, two-sided, of so many numbers


def main(
    photos: Annotated[list[str], typer.Argument(help="files")],
    model: Annotated[str, typer.Option(help="as --model takes it")] = "demo",
    method: Annotated[list[str] | None, typer.Option(help="of the maps")] = None,
    seed: Annotated[int, typer.Option(help="of the pairs")] = 0,
) -> None:
    torch.set_num_threads(1)
    network, random = foveal.load_model(model), np.random.default_rng(seed)
    tests: list[DeletionTest] = []
    for photo in photos:
        tests += foveal.audit(network, photo, explanations=method or ["gradcam", "gradient"], draws=DRAWS)
    tests = [test for test in tests if test.marked is not None]
    print(f"{len(tests)} maps of {len(photos)} photos")
    for count in (FEW, MANY):
        other = np.mean([_differ(test, count, random) for test in tests])
        width = np.mean([STUDENT[count] * _lowered(test).std(ddof=1) / np.sqrt(count) for test in tests])
        print(
            f"{count} areas: {100 * other:.0f} % of the verdicts are others than with {MANY} other areas; "
            f"the mean of the areas is known to ± {100 * width:.0f} % of the score"
        )


def _differ(test: DeletionTest, count: int, random: np.random.Generator) -> float:
    """How often audits of so many areas, and of many others, differ."""
    every = _lowered(test)
    pairs = (random.permutation(every) for _ in range(PAIRS))
    return float(np.mean([_verdict(test, p[:count]) != _verdict(test, p[count : count + MANY]) for p in pairs]))


def _verdict(test: DeletionTest, others: NDArray[np.float64]) -> int:
    """1 for better than chance, −1 for worse, 0 for neither."""
    above = (test.effect - others.mean()) / max(others.std(ddof=1), 1e-12)
    return int(above > 1) - int(above < -1)


def _lowered(test: DeletionTest) -> NDArray[np.float64]:
    return (test.whole - np.array(test.others)) / test.whole


if __name__ == "__main__":
    typer.run(main)

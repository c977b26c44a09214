"""Seconds that may be compared on a machine whose speed drifts.

Every round runs all actions once, in random order, so that a slow minute slows all of them; a ratio is taken within a
round, and its median and range are printed.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch import Tensor, nn

Action = Callable[[], object]


def plain_forward(model: nn.Module, x: Tensor) -> None:
    """What everything is measured by: the network as it runs without explanation."""
    with torch.no_grad():
        model(x)


def measure(
    actions: Mapping[str, Action], rounds: int, *, warm: bool = False, tidy: Action = gc.collect, seed: int = 0
) -> dict[str, list[float]]:
    """The seconds of each action in each round, after one run of each unless they are warm; `tidy` runs between."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for action in () if warm else actions.values():
        action()
        tidy()
    order = list(actions)
    shuffled = random.Random(seed)
    for _ in range(rounds):
        shuffled.shuffle(order)  # what ran before leaves the memory allocator in a state of its own
        for name in order:
            seconds[name].append(duration(actions[name]))
            tidy()
    return seconds


def duration(action: Action) -> float:
    """The seconds one run takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def ratios(seconds: list[float], beside: list[float], per: float = 1) -> list[float]:
    """Round by round, a / (per · b)."""
    return [a / (per * b) for a, b in zip(seconds, beside, strict=True)]


def spread(values: list[float]) -> str:
    """The median, and the range in brackets."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{median(values):.2f}  ({min(values):.2f}–{max(values):.2f})"


def in_one_line(error: Exception) -> str:
    """What is said of an action that failed."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}"[:90]

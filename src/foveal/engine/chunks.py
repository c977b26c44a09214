"""Many forwards, as few at once as memory asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.engine.tape import out_of_memory

if TYPE_CHECKING:
    from jaxtyping import Float

Tick = Callable[[int, int], None]

BUDGET = {"cpu": 16 * 2**20}
"""Bytes that the altered copies of one chunk may take: about a processor's cache."""

BUDGET_ELSEWHERE = 512 * 2**20
"""The same where thousands of copies are needed to keep a device busy."""


def fitting(one: Tensor, most: int = 1024) -> int:
    """How many copies of a tensor to start with."""
    budget = BUDGET.get(one.device.type, BUDGET_ELSEWHERE)
    return max(1, min(most, budget // max(1, one.numel() * one.element_size())))


class Chunks:
    """Scores in chunks of a size that is halved for good when memory runs out."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, scores: Callable[[int, int], Tensor], count: int, tick: Tick) -> Float[Tensor, " count"]:
        """`scores(start, stop)` for start … stop covering 0 … count.

        Raises:
            Whatever `scores` raises, running out of memory on a single copy included.
        """
        found: list[Tensor] = []
        done = 0
        while done < count:
            stop = min(done + self.size, count)
            part = self._tried(scores, done, stop)
            if part is None:
                self.size = max(1, self.size // 2)
                continue
            found.append(part)
            done = stop
            tick(done, count)
        return torch.cat(found) if found else torch.empty(0)

    def _tried(self, scores: Callable[[int, int], Tensor], start: int, stop: int) -> Tensor | None:
        try:
            return scores(start, stop)
        except (RuntimeError, MemoryError, ValueError) as error:  # a ModelError is a ValueError
            causes = [error, error.__cause__]
            if stop - start == 1 or not any(cause is not None and out_of_memory(cause) for cause in causes):
                raise
        # Outside of the handler, so that the failed forward's tensors are gone before the next try.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

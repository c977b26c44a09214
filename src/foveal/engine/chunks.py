"""Many forwards, as few at once as memory asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from foveal.engine.fault import out_of_memory

if TYPE_CHECKING:
    from jaxtyping import Float

Tick = Callable[[int, int], None]

Budget: TypeAlias = "tuple[Mapping[str, float], float]"

MEBIBYTE = 2**20

WHOLE: Budget = {"cpu": 2.5 * MEBIBYTE}, 64 * MEBIBYTE
"""Bytes that the altered inputs of one chunk may take, on a processor and elsewhere. What the layers make of them is
several times as much, and on a processor it should fit the cache: four photos of 224 × 224."""

RESUMED: Budget = {"cpu": 48 * MEBIBYTE}, 512 * MEBIBYTE
"""The same of altered activations. Fewer would fit a cache, but every chunk is a walk through all of the network's
Python; in the last stage of a ResNet-50 this is where the two balance."""


def fitting(one: Tensor, budget: Budget) -> int:
    """How many copies of a tensor to start with."""
    known, elsewhere = budget
    bytes_each = max(1, one.numel() * one.element_size())
    return max(1, min(1024, int(known.get(one.device.type, elsewhere) // bytes_each)))


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
            if stop - start == 1 or not out_of_memory(error):
                raise
        # Outside of the handler, so that the failed forward's tensors are gone before the next try.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

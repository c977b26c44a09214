"""Many forwards, as few at once as memory asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import torch
from torch import Tensor

from foveal.engine.memory import FEW, Load
from foveal.engine.model_errors import out_of_memory

if TYPE_CHECKING:
    from jaxtyping import Float

Tick = Callable[[int, int], None]
T = TypeVar("T")

Budget: TypeAlias = "tuple[Mapping[str, float], float]"

MEBIBYTE = 2**20

WHOLE: Budget = {"cpu": 2.5 * MEBIBYTE}, 64 * MEBIBYTE
"""Bytes that the altered inputs of one chunk may take, on a processor and elsewhere. What ordinary layers make of them
is several times as much, and on a processor it should fit the cache: four photos of 224 × 224. What other layers make
of them is weighed, see `Load`."""

RESUMED: Budget = {"cpu": 48 * MEBIBYTE}, 512 * MEBIBYTE
"""The same of altered activations. Fewer would fit a cache, but every chunk is a walk through all of the network's
Python; in the last stage of a ResNet-50 this is where the two balance."""


def fitting(tensor: Tensor, budget: Budget) -> int:
    """How many copies of a tensor to send through at once, as far as their own bytes go."""
    known, elsewhere = budget
    bytes_each = max(1, tensor.numel() * tensor.element_size())
    return max(1, min(1024, int(known.get(tensor.device.type, elsewhere) // bytes_each)))


def chunked(chunk: int | None, tensor: Tensor, budget: Budget, load: Load) -> Chunks:
    """Chunks as large as somebody says; else as fit the budget, and memory with what the network makes of them."""
    return Chunks(chunk) if chunk else Chunks(fitting(tensor, budget), load)


class Chunks:
    """A pass in chunks. Their size is bounded by what a copy was found to load, and halved for good when memory runs
    out all the same."""

    def __init__(self, size: int, load: Load | None = None) -> None:
        self.size, self.load = size, load

    def __call__(self, scores: Callable[[int, int], Tensor], count: int, tick: Tick) -> Float[Tensor, " count"]:
        """`scores(start, stop)` for start … stop covering 0 … count, in one.

        Raises:
            Whatever `scores` raises, running out of memory on a single copy included.
        """
        chunks = [*self.parts(scores, count, tick)]
        return torch.cat(chunks) if chunks else torch.empty(0)

    def parts(self, run: Callable[[int, int], T], count: int, tick: Tick | None = None) -> Iterator[T]:
        """The same of anything, one after the other; the first copy goes alone where nobody knows what it weighs."""
        done = 0
        if load := self._unweighed(count):
            with load.weighed(1):
                part = run(0, 1)
            yield part
            done = 1
            if tick:
                tick(done, count)
        self._bound(count)
        while done < count:
            stop = min(done + self.size, count)
            tried = self._tried(run, done, stop)
            if tried is None:
                self.size = max(1, self.size // 2)
                continue
            yield tried[0]
            done = stop
            if tick:
                tick(done, count)

    def weigh(self, run: Callable[[int, int], object], count: int) -> None:
        """Have the first copy go through in vain, where that is worth its while and it never did before.

        For loads that are remembered: chunks, and with them the last digits, are then the same every time.
        """
        if load := self._unweighed(count):
            with load.weighed(1):
                run(0, 1)

    def _bound(self, count: int) -> None:
        most = min(self.size, count)
        if self.load and most > 1 and (fits := self.load.fitting(most)) < most:
            self.size = fits

    def _unweighed(self, count: int) -> Load | None:
        return self.load if self.load and self.load.each is None and self.size > 1 and count > FEW else None

    def _tried(self, run: Callable[[int, int], T], start: int, stop: int) -> tuple[T] | None:
        """What it gives; None where there was too little memory for several."""
        try:
            return (run(start, stop),)
        except (RuntimeError, MemoryError, ValueError) as error:  # a ModelError is a ValueError
            if stop - start == 1 or not out_of_memory(error):
                raise
        # Outside of the handler, so that the failed forward's tensors are gone before the next try.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

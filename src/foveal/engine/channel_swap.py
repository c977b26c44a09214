"""Many copies of an activation that differ in a channel each, without making them anew for every chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class ChannelSwap:
    """One buffer of copies: a channel of each is written, they are used, and put right before the next are written.

    It has room for `size` of them, or for as many as are asked for.
    """

    def __init__(self, A: Float[Tensor, "1 c *space"], size: int = 1) -> None:
        self._A = A
        self._make(size)

    def _make(self, size: int) -> None:
        self._buffer = self._A.repeat(size, *[1] * (self._A.ndim - 1))
        self._rows = torch.arange(size, device=self._A.device)
        self._written = self._rows[:0]
        self._version = self._buffer._version

    def __call__(self, channels: Int[Tensor, " k"], planes: Float[Tensor, " k *space"]) -> Float[Tensor, "k c *space"]:
        if len(channels) > len(self._rows):
            self._make(len(channels))
        elif self._buffer._version != self._version:  # the network works in place on what it is given
            self._buffer.copy_(self._A.expand_as(self._buffer))
        else:
            self._buffer[self._rows[: len(self._written)], self._written] = self._A[0, self._written]
        self._buffer[self._rows[: len(channels)], channels] = planes.to(self._A.dtype)
        self._written, self._version = channels, self._buffer._version
        return self._buffer[: len(channels)]

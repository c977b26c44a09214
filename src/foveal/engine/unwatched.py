"""Operations of foveal's own, which those who watch what a network does need not see.

While a model is explained, `foveal.engine.weights` watches for writes: each operation, and each look at the shape of a
tensor, is a call of Python.
"""

from __future__ import annotations

from typing import Any

import torch

looking = torch._C.DisableTorchFunction
"""A context in which tensors are only looked at: no function mode is told, and subclasses are plain tensors."""


class unwatched:
    """A context in which no function mode is told of operations. Subclasses of Tensor keep their meaning.

    No code of the user's may run in here: a write of it would not be noticed.
    """

    __slots__ = ("_modes",)

    def __enter__(self) -> None:
        self._modes: list[Any] = [
            torch._C._pop_torch_function_stack() for _ in range(torch._C._len_torch_function_stack())
        ]

    def __exit__(self, *_: object) -> None:
        while self._modes:
            torch._C._push_on_torch_function_stack(self._modes.pop())

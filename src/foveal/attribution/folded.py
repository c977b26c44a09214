"""Forwards that only score copies, on a processor: channels last, and with normalization folded into convolutions.

A ResNet-50 takes about three quarters of the time so (docs/cost.md). That the numbers are the same is checked on one
copy for each network; where a forward fails or goes another way, copies run as the network was written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from foveal.engine.folding import FoldedPair, Folding, FoldingError, pairs_of
from foveal.engine.guard import every_module
from foveal.engine.model_errors import out_of_memory
from foveal.engine.precision import channels_last, in_single
from foveal.engine.weights import is_hooked
from foveal.errors import ModelError

if TYPE_CHECKING:
    from foveal.targets import ModelOutput

PIXELS = 128 * 128
"""Of smaller images, a forward pass is too short to gain much."""
BEFORE = 8
"""So many copies run as the network was written: who asks for less has nothing to gain."""
TOLERANCE = 1e-4
"""How far an output may be from that of the network as it was written, as a share of its largest number."""

_known: WeakKeyDictionary[nn.Module, list[FoldedPair] | None] = WeakKeyDictionary()
"""What can be folded; None for networks that run as they were written."""


class FoldedForwards:
    """The forwards of one scorer, in a block in which the weights of the network stay as they are.

    Args:
        x: (1, c, h, w), the image.
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self._model, self._before = model, 0
        self._wanted = x.device.type == "cpu" and x.ndim == 4 and x[0, 0].numel() >= PIXELS
        self._folding: Folding | None = None

    def __call__(self, x: Tensor, forward: Callable[[Tensor], ModelOutput]) -> ModelOutput:
        """What `forward` makes of copies (k, c, h, w)."""
        if not self._wanted or torch.is_grad_enabled() or not self._begun(x, forward):
            return forward(x)
        return self._folded(x, forward) or forward(x)

    def _begun(self, x: Tensor, forward: Callable[[Tensor], ModelOutput]) -> bool:
        """Whether the weights are folded, now that so many copies are asked."""
        if self._folding is None:
            self._before += len(x)
            if self._before > BEFORE:
                self._wanted = in_single(self._model, x) and not is_hooked(every_module(self._model))
                if self._wanted:
                    self._begin(x[:1], forward)
        return self._folding is not None

    def _begin(self, x: Tensor, forward: Callable[[Tensor], ModelOutput]) -> None:
        if self._model in _known:
            pairs = _known[self._model]
            self._folding = None if pairs is None else Folding(pairs)
            self._wanted = pairs is not None
            return
        plain: list[object] = []

        def run() -> object:
            plain.append(forward(x).output)
            return plain[0]

        pairs = _known[self._model] = pairs_of(run)
        self._folding = Folding(pairs)
        folded = self._folded(x, forward)
        if folded and not _alike(folded.output, plain[0]):
            self._forget()

    def _folded(self, x: Tensor, forward: Callable[[Tensor], ModelOutput]) -> ModelOutput | None:
        """By the folded network; None where it does not run."""
        assert self._folding
        try:
            with self._folding.used():
                return forward(channels_last(x))
        except FoldingError:
            pass
        except ModelError as error:
            if out_of_memory(error):
                raise
        self._forget()
        return None

    def _forget(self) -> None:
        self._wanted, self._folding, _known[self._model] = False, None, None


def _alike(one: object, other: object) -> bool:
    leaves = tree_leaves(one), tree_leaves(other)
    return len(leaves[0]) == len(leaves[1]) and all(
        a.shape == b.shape and bool((a - b).abs().amax() <= TOLERANCE * b.abs().amax())
        for a, b in zip(*leaves, strict=True)
        if isinstance(a, Tensor) and isinstance(b, Tensor) and a.is_floating_point()
    )

"""What was computed from features and leads no gradient back: masks, choices, detached copies."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from foveal.engine.rules.mode import carries
from foveal.engine.rules.sources import flat

FORMS = frozenset(
    {"zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like", "new_zeros"}
    | {"new_ones", "new_empty", "new_full", "new_tensor", "isnan", "isinf", "isfinite"}
)
"""Operations that take no more than the form of a tensor, or ask whether it has numbers at all."""

SHAPED = frozenset({"type_as", "view_as", "reshape_as", "expand_as", "to"})
"""Operations on their first argument, in the form of another."""


class Derived:
    """Tensors that depend on features without a graph."""

    def __init__(self) -> None:
        self._known: Any = WeakTensorKeyDictionary()

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, Tensor) and not value.requires_grad and value in self._known

    def depends(self, value: Any) -> bool:
        """Whether it depends on features, with a graph or without."""
        return isinstance(value, Tensor) and (carries(value) or value in self)

    def follow(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Notes what an operation gave, or wrote into."""
        if name in FORMS:
            return
        given = args[:1] if name in SHAPED else (args, kwargs)
        if not any(map(self.depends, flat(given))):
            return
        for tensor in flat(args[:1] if result is None else result):
            if isinstance(tensor, Tensor) and not tensor.requires_grad:
                self._known[tensor] = True

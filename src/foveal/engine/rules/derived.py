"""What was computed from features and leads no gradient back: masks, choices, detached copies."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from foveal.engine.rules.mode import carries
from foveal.engine.rules.nested import tensors_in
from foveal.engine.tensor_map import TensorMap

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
        self._known: TensorMap[bool] = TensorMap()

    def __contains__(self, value: Any) -> bool:
        return bool(self._known) and isinstance(value, Tensor) and not value.requires_grad and value in self._known

    def depends(self, value: Any) -> bool:
        """Whether it depends on features, with a graph or without."""
        return isinstance(value, Tensor) and (carries(value) or value in self)

    def follow(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Notes what an operation gave, or wrote into."""
        if name in FORMS or (isinstance(result, Tensor) and result.requires_grad):
            return
        made = [tensor for tensor in tensors_in(args[:1] if result is None else (result,)) if not tensor.requires_grad]
        if made and any(map(self.depends, tensors_in(args[:1] if name in SHAPED else (args, kwargs)))):
            for tensor in made:
                self._known[tensor] = True

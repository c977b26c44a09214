"""Objectives to minimize, which add and scale like numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from foveal.featurevis.seen import Seen

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Objective:
    """An objective to minimize, one number for each of k images.

    Attributes:
        function: takes `Seen`, returns (k,).
        description: a readable description.
        layers: the addresses of the layers that it uses.
        whole: whether it uses the network's output.
    """

    function: Callable[[Seen], Tensor]
    description: str
    layers: tuple[str, ...] = ()
    whole: bool = False

    def __call__(self, seen: Seen) -> Float[Tensor, " k"]:
        return self.function(seen)

    def __add__(self, other: Objective | float) -> Objective:
        if not isinstance(other, Objective):
            return self if other == 0 else Objective(lambda seen: self(seen) + other, f"{self} + {other:g}", *self._of)
        layers = tuple(dict.fromkeys((*self.layers, *other.layers)))
        whole = self.whole or other.whole
        return Objective(lambda seen: self(seen) + other(seen), f"{self} + {other}", layers, whole)

    __radd__ = __add__

    def __mul__(self, factor: float) -> Objective:
        description = f"({self.description})" if " + " in self.description else self.description
        return Objective(lambda seen: factor * self(seen), f"{factor:g} × {description}", *self._of)

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return -1.0 * self

    def __sub__(self, other: Objective) -> Objective:
        return self + -other

    def __str__(self) -> str:
        return self.description

    @property
    def _of(self) -> tuple[tuple[str, ...], bool]:
        return self.layers, self.whole

"""One operation of an ONNX file, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn


class Unconvertible(Exception):
    """What torch has no counterpart for here; its text says what."""


@dataclass(frozen=True)
class OnnxNode:
    """One operation: its attributes, and the values of those of its inputs that are constant (None for others)."""

    kind: str
    attributes: Mapping[str, Any]
    constants: tuple[Tensor | None, ...]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def constant(self, place: int) -> Tensor | None:
        """An input that is constant; None where it is left out.

        Raises:
            Unconvertible: where it is computed.
        """
        return self.constants[place] if place < len(self.constants) else None

    def weight(self, place: int) -> Tensor:
        """A constant that must be there."""
        value = self.constant(place)
        if value is None:
            raise Unconvertible(f"{self.kind} with weights that are computed")
        return value


class Function(nn.Module):
    """A function as a layer, so that it can be named and observed."""

    def __init__(self, kind: str, function: Callable[..., Any]) -> None:
        super().__init__()
        self.kind, self.function = kind, function

    def forward(self, *inputs: Any) -> Any:
        """Whatever the function gives."""
        return self.function(*inputs)

    def extra_repr(self) -> str:
        """The operator."""
        return self.kind


Made: TypeAlias = "tuple[nn.Module, tuple[int, ...] | None]"
"""The module, and the places of the inputs that it is called with; None for all."""

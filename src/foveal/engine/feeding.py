"""Which layer feeds which, with what it returned and nothing else: noticed while a network runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class Feeding:
    """For each layer the one whose result it was given in the last call, unchanged.

    Args:
        modules: layer -> the module whose input is looked at.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._modules = modules
        self._onward: dict[str, _Seen] = {}
        self._fed: dict[str, str] = {}

    def clear(self) -> None:
        """Forget the last forward."""
        self._onward.clear()
        self._fed.clear()

    def returned(self, layer: str, tensor: Tensor) -> None:
        """Tell what the network goes on with after a layer."""
        self._onward[layer] = _Seen(tensor)

    def giver(self, layer: str) -> str:
        """The layer that feeds this one; "" where none of those known does."""
        return self._fed.get(layer, "")

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Within, modules are watched."""
        handles = [module.register_forward_pre_hook(self._given_to(layer)) for layer, module in self._modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _given_to(self, layer: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def before(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            givers = (
                giver for giver, seen in reversed(self._onward.items()) if len(inputs) == 1 and seen.is_(inputs[0])
            )
            self._fed[layer] = next(givers, "")

        return before


class _Seen:
    """A tensor as it was, without holding it."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._version = weakref.ref(tensor), _version(tensor)

    def is_(self, tensor: Any) -> bool:
        """Whether this is that tensor, and nothing was written into it since."""
        return isinstance(tensor, Tensor) and self._tensor() is tensor and _version(tensor) == self._version


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version

"""What tells a network from another, and from itself when someone changed its stride, say.

Each call asks. So what a layer has is compared with what it had at the last reading, and only where something differs
all of it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import count
from operator import itemgetter
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from torch import nn

from foveal.engine.guard import every_module

Getter: TypeAlias = Callable[[dict[str, Any]], Any]

_PLAIN = (int, float, str, tuple)
_EVERY = frozenset(vars(nn.Module()))  # what every module has: its mode, hooks and parts
_REMEMBERED = 64  # settings a network


def settings_of(model: nn.Module) -> int:
    """A number for which modules a network has and how its layers are set: the same as long as both are the same.

    What sets a layer are its attributes that are numbers, text or tuples.
    """
    return _known.setdefault(model, _Settings()).number(every_module(model))


class _Settings:
    """The settings that one network was seen with. Holds no module."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._count = count()
        self._last: tuple[list[int], list[_Layer], int] = [], [], -1

    def number(self, modules: Sequence[nn.Module]) -> int:
        numbers, layers, last = self._last
        own = [vars(module) for module in modules if not module._modules]
        if [*map(id, modules)] == numbers and len(own) == len(layers) and all(map(_Layer.same, layers, own)):
            return last
        read = tuple(_read(module) for module in modules)
        if read not in self._numbers and len(self._numbers) >= _REMEMBERED:
            del self._numbers[next(iter(self._numbers))]
        number = self._numbers.setdefault(read, next(self._count))
        self._last = [*map(id, modules)], [*map(_Layer, own)], number
        return number


class _Layer:
    """What one layer had: the values of what sets it, and the types of all else."""

    def __init__(self, own: dict[str, Any]) -> None:
        keys = [key for key in own if key not in _EVERY]
        self._length = len(own)
        self._set = _getter([key for key in keys if isinstance(own[key], _PLAIN)])
        self._values = self._set(own)
        self._types = [(key, type(own[key])) for key in keys if not isinstance(own[key], _PLAIN)]

    def same(self, own: dict[str, Any]) -> bool:
        try:
            if len(own) != self._length or self._set(own) != self._values:
                return False
            for key, kind in self._types:
                if type(own[key]) is not kind:
                    return False
        except (KeyError, TypeError, ValueError, RuntimeError):  # gone, or with tensors inside, which do not compare
            return False
        return True


def _getter(keys: Sequence[str]) -> Getter:
    """Values of these, as a tuple where there are several."""
    return itemgetter(*keys) if keys else lambda own: None


def _read(module: nn.Module) -> Hashable:
    if module._modules:
        return id(module)
    own = vars(module).items()
    return (id(module), *[_hashed(value) for key, value in own if key not in _EVERY and isinstance(value, _PLAIN)])


def _hashed(value: Any) -> Hashable:
    """A tuple of what has no hash by its identity."""
    try:
        hash(value)
    except TypeError:
        return "at", id(value)
    return value  # type: ignore[no-any-return]


_known: WeakKeyDictionary[nn.Module, _Settings] = WeakKeyDictionary()

"""What is known of tensors, for as long as they are there."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar, overload

from torch import Tensor

T = TypeVar("T")
D = TypeVar("D")


class TensorMap(Generic[T]):
    """Values by tensor, which it does not keep: as torch's `WeakTensorKeyDictionary`, at a fraction of the time.

    That makes a reference to ask for a tensor; here an identity number is asked for, and the reference that was kept
    with it tells whether the tensor is still the one that had it.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[_Reference, T]] = {}
        own = weakref.ref(self)

        def gone(reference: _Reference) -> None:
            mine = own()
            if mine is not None and (entry := mine._entries.get(reference.number)) and entry[0] is reference:
                del mine._entries[reference.number]

        self._gone = gone

    def __setitem__(self, tensor: Tensor, value: T) -> None:
        entry = self._entries.get(id(tensor))
        if entry is None or entry[0]() is not tensor:
            reference = _Reference(tensor, self._gone)
            reference.number = id(tensor)
        else:
            reference = entry[0]
        self._entries[id(tensor)] = reference, value

    def __getitem__(self, tensor: Tensor) -> T:
        entry = self._entries[id(tensor)]
        if entry[0]() is not tensor:
            raise KeyError(id(tensor))
        return entry[1]

    def __contains__(self, tensor: Tensor) -> bool:
        entry = self._entries.get(id(tensor))
        return entry is not None and entry[0]() is tensor

    @overload
    def get(self, tensor: Tensor) -> T | None: ...

    @overload
    def get(self, tensor: Tensor, default: D) -> T | D: ...

    def get(self, tensor: Tensor, default: D | None = None) -> T | D | None:
        entry = self._entries.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else default

    def setdefault(self, tensor: Tensor, value: T) -> T:
        if tensor not in self:
            self[tensor] = value
        return self[tensor]

    def discard(self, tensor: Tensor) -> None:
        if tensor in self:
            del self._entries[id(tensor)]

    def items(self) -> Iterator[tuple[Tensor, T]]:
        for reference, value in [*self._entries.values()]:
            tensor = reference()
            if tensor is not None:
                if hasattr(tensor, "_fix_weakref"):  # a tensor that Python had let go of, and autograd had not
                    tensor._fix_weakref()
                yield tensor, value

    def __len__(self) -> int:
        return len(self._entries)


class _Reference(weakref.ref[Tensor]):
    """To a tensor, with the number that is its identity."""

    __slots__ = ("number",)

    number: int

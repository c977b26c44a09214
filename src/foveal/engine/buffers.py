"""Buffers as they were: copied beforehand where they are small, and just before a write where they are large.

Copying all buffers of a ResNet-50 costs half a percent of its forward; copying the memory bank of a retrieval model
may cost more than the forward itself, and most forwards only read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

LARGE = 2**22
"""Numbers in a buffer above which each operation of the forward is looked at rather than the buffer copied."""


class Buffers:
    """The buffers of some modules, to be put back."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        places = [(module, name, b) for module in modules for name, b in module._buffers.items() if b is not None]
        self._places = [(module, name, b) for module, name, b in places if not b.is_inference()]
        tensors = {id(b): b for _, _, b in self._places}.values()
        self._copies = [(b, b._version, b.clone()) for b in tensors if b.numel() < LARGE]
        large = [b for b in tensors if b.numel() >= LARGE]
        self.watch = WritesWatched(large) if large else None

    def restore(self) -> None:
        for module, name, buffer in self._places:
            module._buffers[name] = buffer
        with torch.no_grad():
            for buffer, version, copy in self._copies:
                if buffer._version != version:
                    buffer.copy_(copy)
            for buffer, copy in self.watch.copies.values() if self.watch else ():
                buffer.copy_(copy)


class WritesWatched(TorchDispatchMode):
    """While active, an operation that is about to write into one of these tensors makes a copy of it first."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        self._tensors = {_memory(tensor): tensor for tensor in tensors}
        self.copies: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.is_mutable:
            written = [a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
            given = {**kwargs, **dict(zip((a.name for a in func._schema.arguments), args, strict=False))}
            for leaf in tree_leaves([given.get(name) for name in written]):
                if isinstance(leaf, Tensor) and (memory := _memory(leaf)) in self._tensors:
                    tensor = self._tensors[memory]
                    if memory not in self.copies:
                        self.copies[memory] = tensor, tensor.clone()
        return func(*args, **kwargs)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()

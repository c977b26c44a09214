"""Buffers as they were: compared bit by bit with a copy, and put back where they differ.

Copying all buffers of a ResNet-50 costs half a percent of its forward; copying the memory bank of a retrieval model
may cost more than the forward itself, and most forwards only read it. Large buffers are copied just before a write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from foveal.engine.locks import memory_of
from foveal.engine.unwatched import looking

LARGE = 2**22
"""Numbers in a buffer above which each operation of the forward is looked at rather than the buffer copied."""

Kind = tuple[torch.dtype, torch.device, bool]


class Buffers:
    """The buffers of some modules, to be put back.

    Attributes:
        large: those that are too large to be copied beforehand.
        watch: the mode in which the forwards are to run, where there are large ones.
    """

    def __init__(self, modules: Sequence[nn.Module], buffers: Sequence[Tensor]) -> None:
        tensors = {id(b): b for b in buffers}
        groups: dict[Kind, list[Tensor]] = {}
        for b in tensors.values():
            if b.numel() < LARGE and b.layout == torch.strided and not b.is_quantized and not b.is_meta:
                groups.setdefault((b.dtype, b.device, b.is_inference()), []).append(b)
        self._copies = [(group, _joined(group)) for group in groups.values()]
        self.large = [b for b in tensors.values() if b.numel() >= LARGE]
        # What a TorchScript module does to its weights is hidden from everything else.
        scripts = {kind for kind in {*map(type, modules)} if issubclass(kind, torch.jit.ScriptModule)}
        closed = [m for m in modules if type(m) in scripts] if scripts else []
        watched = self.large + [p for m in closed for p in m.parameters(recurse=False)]
        self.watch = WritesWatched(watched) if watched else None

    def restore(self) -> bool:
        """Put back what differs; whether anything did."""
        changed = False
        for group, copy in self._copies:
            if not torch.equal(_bits(_joined(group)), _bits(copy)):
                _pour(copy, group)
                changed = True
        with torch.no_grad():
            for buffer, copy in self.watch.copies.values() if self.watch else ():
                buffer.copy_(copy)
                changed = True
        return changed


def _joined(group: Sequence[Tensor]) -> Tensor:
    """All of them in one: a single copy and a single comparison instead of hundreds."""
    with torch.no_grad():
        joined: Tensor = _flatten_dense_tensors(group)
        return joined.clone() if len(group) == 1 else joined


def _bits(tensor: Tensor) -> Tensor:
    """As whole numbers, so that NaN equals itself and −0 is not 0."""
    return tensor.view(torch.uint8)


def _pour(copy: Tensor, group: Sequence[Tensor]) -> None:
    inference = any(b.is_inference() for b in group)
    with torch.inference_mode(inference), torch.no_grad():
        for b, own in zip(group, copy.split([b.numel() for b in group]), strict=True):
            if not torch.equal(_bits(b.detach().reshape(-1)), _bits(own)):
                b.detach().copy_(own.view(b.shape))


class WritesWatched(TorchDispatchMode):
    """While active, an operation that is about to write into one of these tensors makes a copy of it first."""

    only_watches = True

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        self._tensors = {memory_of(tensor): tensor for tensor in tensors}
        self.copies: dict[int, tuple[Tensor, Tensor]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Whatever runs in here is not compiled, and to look out for that torch would import its compiler: a second.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with looking():  # rules for operations have met this one already
            if func._schema.is_mutable:
                self._keep_what_is_written(func._schema, args, kwargs)
            return func(*args, **kwargs)

    def _keep_what_is_written(self, schema: Any, args: Any, kwargs: Any) -> None:
        written = [a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
        given = {**kwargs, **dict(zip((a.name for a in schema.arguments), args, strict=False))}
        for leaf in tree_leaves([given.get(name) for name in written]):
            if isinstance(leaf, Tensor) and (memory := memory_of(leaf)) in self._tensors:
                tensor = self._tensors[memory]
                if memory not in self.copies:
                    self.copies[memory] = tensor, tensor.clone()

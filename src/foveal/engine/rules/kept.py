"""What rules read on the way back, as it was on the way there: networks overwrite tensors in place.

Nothing is copied ahead. A kept tensor shares its memory with the network's, and gets memory of its own right before the
network writes there, through whatever view.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextvars import ContextVar, Token
from typing import Any
from weakref import ReferenceType, ref

import torch
from torch import Tensor

from foveal.engine.tensor_map import TensorMap
from foveal.engine.unwatched import unwatched

BOUNDS = frozenset({"relu", "relu6", "hardtanh", "threshold", "clamp", "clamp_min", "clamp_max"})
"""Operations whose derivative is 0 wherever they change a number."""


class KeptTensors:
    """The kept tensors of one forward."""

    def __init__(self) -> None:
        self._sharing: dict[int, list[ReferenceType[Tensor]]] = defaultdict(list)
        self._unused: TensorMap[ReferenceType[Tensor]] = TensorMap()
        self._outer: list[Token[KeptTensors]] = []

    def keep(self, tensor: Tensor) -> Tensor:
        """The tensor as it is now, without its graph."""
        with unwatched():
            alias = tensor.detach()
            self._sharing[_memory(alias)].append(ref(alias))
        return alias

    def made(self, result: Tensor, alias: Tensor) -> None:
        """`alias` is an operation's `result`, which nothing has used yet.

        What then bounds it in place changes it only where its gradient becomes 0, so that the alias need not be kept
        from that: nearly all that networks overwrite are the outputs of layers, by ReLU.
        """
        self._unused[result] = ref(alias)

    def used(self, tensors: Iterable[Tensor]) -> None:
        """An operation is going to read these."""
        if self._unused:
            for tensor in tensors:
                self._unused.discard(tensor)

    def __enter__(self) -> None:
        """Here `kept` keeps."""
        self._outer.append(_RUNNING.set(self))

    def __exit__(self, *_: object) -> None:
        _RUNNING.reset(self._outer.pop())

    def before_writing(self, name: str, tensor: Any) -> None:
        """The operation `name` is going to write into this tensor."""
        if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided:
            return
        spared = self._unused[tensor] if name in BOUNDS and tensor in self._unused else None
        sharing = self._sharing.pop(_memory(tensor), ())
        for reference in sharing:
            if (alias := reference()) is None:
                continue
            if spared is not None and spared() is alias:
                self._sharing[_memory(alias)].append(reference)
            else:
                alias.data = alias.data.clone()


def _memory(tensor: Tensor) -> int:
    """Of which memory it is a view: by its storage, since not every kind of tensor has an address."""
    storage: int = tensor.untyped_storage()._cdata
    return storage


_RUNNING: ContextVar[KeptTensors] = ContextVar("kept tensors of the forward that runs")


def kept(tensor: Tensor) -> Tensor:
    """The tensor as it is now, without its graph, for the way back of the forward that runs."""
    return _RUNNING.get().keep(tensor)

"""What a pass through a network makes of memory, weighed on one copy.

What goes in says little of that: a decoder turns a small activation into pictures, and a backward pass keeps whatever
the forward made. On a processor nobody is told in time either, as the kernel ends the process before an error comes.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from foveal.engine.room import room
from foveal.engine.settings import settings_of
from foveal.engine.unwatched import looking

UNNOTICED = 2**24  # bytes
"""Not worth looking up what is left."""
FEW = 8
"""So many copies go through unweighed: weighing them would save little, and cost a pass of its own."""


class Load:
    """What one copy makes of memory. Weigh one, then ask how many may go through together.

    Attributes:
        each: bytes alive at once, a copy; None until it was weighed.
        fixed: bytes that are as many for one copy as for several.
    """

    def __init__(self, device: torch.device, *, graph: bool = False) -> None:
        self.each: float | None = None
        self.fixed = 0
        self._device, self._graph = device, graph

    @contextmanager
    def weighed(self, copies: int) -> Iterator[None]:
        """Weigh what is made in this block of so many copies, if that is not known yet.

        Whatever is entered in here must be left in here: inference mode, for one, puts back the state it began in.
        """
        if self.each is not None:
            yield
            return
        with CreatedTensors() as made:
            yield
        self.each, self.fixed = made.most / copies, made.fixed

    def fitting(self, size: int) -> int:
        """How many copies may go through together: `size` at most, fewer if they are known to be heavy."""
        if size == 1 or self.each is None or self.fixed + size * self.each <= UNNOTICED:
            return size
        return max(1, min(size, int((room(self._device, graph=self._graph) - self.fixed) // max(self.each, 1))))


class CreatedTensors(TorchDispatchMode):
    """While active, adds up the tensors that are made and still there; those made of parameters alone apart.

    Attributes:
        most: the most bytes that were there at once.
        fixed: the same of what does not depend on the images, such as weights in another precision.
    """

    only_watches = True

    def __init__(self) -> None:
        super().__init__()
        self.most = self.fixed = 0
        self._there = {True: 0, False: 0}  # by whether it is fixed
        self._known: dict[int, tuple[weakref.ref[Any], bool]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Whatever runs in here is not compiled, and to look out for that torch would import its compiler: a second.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with looking():  # rules for operations have met this one already
            result = func(*args, **(kwargs or {}))
            self._weigh(args, kwargs, result)
        return result

    def _weigh(self, args: Any, kwargs: Any, result: Any) -> None:
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        memories = {id(memory) for tensor in given if (memory := memory_of(tensor)) is not None}
        fixed = bool(given) and all(self._is_fixed(tensor) for tensor in given)
        for leaf in tree_leaves(result):
            memory = memory_of(leaf) if isinstance(leaf, Tensor) else None
            if memory is not None and id(memory) not in memories and id(memory) not in self._known:
                self._note(memory, fixed)
        self.most, self.fixed = max(self.most, self._there[False]), max(self.fixed, self._there[True])

    def _note(self, memory: torch.UntypedStorage, fixed: bool) -> None:
        number, size = id(memory), memory.nbytes()

        def gone(_: Any) -> None:
            self._there[fixed] -= size
            self._known.pop(number, None)

        self._known[number] = weakref.ref(memory, gone), fixed
        self._there[fixed] += size

    def _is_fixed(self, tensor: Tensor) -> bool:
        known = self._known.get(id(memory_of(tensor)))
        return isinstance(tensor, nn.Parameter) if known is None else known[1]


def memory_of(tensor: Tensor) -> torch.UntypedStorage | None:
    """What its numbers lie in, which views of it share."""
    try:
        return tensor.untyped_storage()
    except (RuntimeError, NotImplementedError):  # sparse, mkldnn: kept elsewhere
        return None


# --- What is known ---


@runtime_checkable
class WeighedChunks(Protocol):
    """Whoever is asked about copies and knows what one makes of memory."""

    @property
    def load(self) -> Load: ...


def load_when_asked(ask: object, x: Tensor) -> Load:
    """The load of asking about copies of x; unknown where it is not told."""
    return ask.load if isinstance(ask, WeighedChunks) else Load(x.device)


_known: weakref.WeakKeyDictionary[Any, dict[Hashable, Load]] = weakref.WeakKeyDictionary()
_REMEMBERED = 64  # loads an owner


def load_of(owner: object, x: Tensor, *about: Hashable, graph: bool = False) -> Load:
    """The load of inputs shaped like `x` (1, …), remembered as long as their owner.

    Args:
        owner: the network, as long as its layers are what they are; or a way to run it.
        about: what else tells one way through it from another.
        graph: whether a graph is kept for a backward pass.
    """
    own = settings_of(owner) if isinstance(owner, nn.Module) else 0
    key = (tuple(x.shape[1:]), x.dtype, x.device, graph, about, own)
    loads, fresh = _known.setdefault(owner, {}), Load(x.device, graph=graph)
    if key not in loads and len(loads) >= _REMEMBERED:
        del loads[next(iter(loads))]
    return loads.setdefault(key, fresh)

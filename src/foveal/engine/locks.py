"""Threads take turns at networks that share anything: hooks, modes and flags belong to modules, not to threads.

Two networks with one body are two modules with some modules, parameters or memory in common. Whatever they have in
common has one lock, and whoever runs a network holds the locks of all of it, taken in one order, so that nobody waits
in a circle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from threading import Lock, RLock, local
from weakref import WeakKeyDictionary, WeakValueDictionary

from torch import Tensor, nn

from foveal.engine.unwatched import looking
from foveal.errors import ModelError

PATIENCE = 600.0
"""Seconds that a thread which holds a network waits for another one; longer waits are taken to be circles."""


class _Turn:
    """A lock, and its place in the order in which locks are taken."""

    _numbers = count()

    def __init__(self) -> None:
        self.lock, self.number = RLock(), next(self._numbers)


class _Registry:
    """Which turns belong to which networks."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._of_part: WeakValueDictionary[int, _Turn] = WeakValueDictionary()
        self._of_model: WeakKeyDictionary[nn.Module, tuple[tuple[int, ...], tuple[_Turn, ...]]] = WeakKeyDictionary()

    def turns(self, model: nn.Module, modules: Sequence[nn.Module]) -> tuple[_Turn, ...]:
        """Those of everything `model` is made of, in the order in which they are to be taken."""
        built = tuple(map(id, modules))
        with self._guard:
            known = self._of_model.get(model)
            if known is None or known[0] != built:
                known = self._of_model[model] = built, self._joined(_parts(modules))
            return known[1]

    def _joined(self, parts: set[int]) -> tuple[_Turn, ...]:
        """The turns of parts that are known, and one for all that are new."""
        turns = {turn for part in parts if (turn := self._of_part.get(part)) is not None}
        new = [part for part in parts if part not in self._of_part]
        if new:
            turn = _Turn()
            self._of_part.update(dict.fromkeys(new, turn))
            turns.add(turn)
        return tuple(sorted(turns, key=lambda turn: turn.number))


class _Held(local):
    """How many blocks of `turn_at` this thread is in."""

    count = 0


_registry, _held = _Registry(), _Held()


@contextmanager
def turn_at(model: nn.Module, modules: Sequence[nn.Module]) -> Iterator[None]:
    """Run while no other thread runs `model`, or another network that shares something with it.

    Args:
        modules: all of them, those inside included.

    Raises:
        ModelError: when this thread already holds another network, and the wait is too long to be one that ends.
    """
    with ExitStack() as block:
        for turn in _registry.turns(model, modules):
            if not turn.lock.acquire(timeout=PATIENCE if _held.count else -1):
                raise ModelError(
                    f"another thread has held {type(model).__name__} for {PATIENCE / 60:.0f} minutes, while this "
                    "thread holds another network: explain one network after the other in each thread"
                )
            block.callback(turn.lock.release)
        _held.count += 1
        try:
            yield
        finally:
            _held.count -= 1


def _parts(modules: Sequence[nn.Module]) -> set[int]:
    """Numbers of modules, parameters and buffers, and of the memory that these lie in."""
    tensors = [t for m in modules for t in (*m._parameters.values(), *m._buffers.values()) if t is not None]
    return {*map(id, modules), *map(id, tensors), *(memory for t in tensors if (memory := memory_of(t)))}


def memory_of(tensor: Tensor) -> int:
    """Where the memory of a tensor begins; 0 where it has none of its own."""
    try:
        with looking():  # looking is no reason for a watch of other blocks to copy the tensor
            return tensor.untyped_storage().data_ptr()
    except (RuntimeError, ValueError):  # sparse, or not made yet
        return 0


def _begin_again() -> None:
    """In a forked child the threads that held locks are gone, so nobody would ever release them."""
    global _registry
    _registry = _Registry()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)

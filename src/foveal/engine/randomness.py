"""torch's random state as it was, also where several threads explain networks that draw random numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock, get_ident

import torch
from torch import Tensor

States = dict[int, Tensor]
"""Number of an accelerator, −1 for the processor -> the state of its generator."""


class _Threads:
    """Who is inside a block, and the state before the first of them entered."""

    def __init__(self) -> None:
        self.guard = Lock()
        self.inside: dict[int, int] = {}
        self.before: States = {}


_threads = _Threads()


@contextmanager
def random_state_kept(devices: Sequence[int]) -> Iterator[None]:
    """Put the generators of the processor and of these accelerators back when the block is left.

    The generators belong to the process. While one thread alone is inside, each block puts back what it found;
    otherwise the last thread to leave puts back what the first one found.
    """
    me = get_ident()
    with _threads.guard:
        own = _states(devices)
        _threads.inside[me] = _threads.inside.get(me, 0) + 1
        for device, state in own.items():
            _threads.before.setdefault(device, state)
    try:
        yield
    finally:
        with _threads.guard:
            _threads.inside[me] -= 1
            if not _threads.inside[me]:
                del _threads.inside[me]
            if not _threads.inside:
                _put_back(_threads.before)
                _threads.before = {}
            elif list(_threads.inside) == [me]:
                _put_back(own)


def _states(devices: Sequence[int]) -> States:
    return {-1: torch.get_rng_state(), **{device: torch.cuda.get_rng_state(device) for device in devices}}


def _put_back(states: States) -> None:
    for device, state in states.items():
        if device < 0:
            torch.set_rng_state(state)
        else:
            torch.cuda.set_rng_state(state, device)


def _alone_in_child() -> None:
    """Of the threads of a forked process only the one that forked goes on."""
    global _threads
    inside, before = _threads.inside.get(get_ident(), 0), _threads.before
    _threads = _Threads()
    if inside:
        _threads.inside, _threads.before = {get_ident(): inside}, before


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alone_in_child)

"""Weights as they were, also where a forward writes into them behind autograd's back.

Networks of torch, torchvision, timm and transformers only read their weights. The forwards of others are watched:
whatever may write into a weight, through autograd, `.data`, NumPy or a pointer, makes a copy of it first, which is
compared with it and put back afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from foveal.engine.locks import memory_of

READERS = ("torch.nn.", "torchvision.", "timm.", "transformers.", "foveal.")
"""Packages whose modules are known to leave their weights alone in a forward."""

Part = TypeVar("Part")

_FLAGS = frozenset({"requires_grad_", "detach_"})  # written in place, and no number among them
_GETTERS = frozenset({"data", "_typed_storage"})
_POINTERS = frozenset(
    {"numpy", "__array__", "__array_interface__", "data_ptr", "const_data_ptr", "untyped_storage", "storage"}
    | {"__dlpack__", "to_dlpack", "__cuda_array_interface__", "share_memory_"}
)


STATISTICS = frozenset({nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm})
"""Modules of torch whose forward writes into their buffers in training mode only."""


def only_read(modules: Sequence[nn.Module]) -> bool:
    """Whether these modules, and what a person hooked into them, are known to only read their weights."""
    own = [m.__dict__["forward"] for m in modules if "forward" in m.__dict__]  # put in place of the module's
    hooks = [hook for m in modules if m._forward_pre_hooks or m._forward_hooks for hook in _hooks(m)]
    return all(map(_known, {*map(type, modules)})) and all(map(_known, [*own, *hooks, *_global_hooks()]))


def _hooks(module: nn.Module) -> list[Callable[..., Any]]:
    return [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]


def _global_hooks() -> list[Callable[..., Any]]:
    every = nn.modules.module
    return [*every._global_forward_pre_hooks.values(), *every._global_forward_hooks.values()]


def written_buffers(modules: Sequence[nn.Module]) -> list[Tensor]:
    """The buffers of modules that are known to only read their weights which a forward in evaluation mode may write."""
    others = [held for m in modules if (held := m._buffers) and type(m) not in STATISTICS]
    return [b for held in others for b in held.values() if b is not None]


def _known(made: Any) -> bool:
    home = getattr(made, "__module__", None) or type(made).__module__
    return f"{home}.".startswith(READERS)


class Weights:
    """The parameters of some modules, and what these modules have, to be put back where a forward changed it.

    Attributes:
        watch: the mode in which the forwards are to run.
    """

    def __init__(self, modules: Sequence[nn.Module], large: Sequence[Tensor]) -> None:
        plain = [m for m in modules if not isinstance(m, torch.jit.ScriptModule)]  # what is in a script stays in it
        self._members = [(m, m._modules.copy(), m._parameters.copy(), m._buffers.copy()) for m in plain]
        parameters = {id(p): p for m in modules for p in m._parameters.values() if p is not None}
        self._gradients = [(p, p.grad, p.requires_grad) for p in parameters.values() if p.is_leaf]
        self.watch = _Watch([*parameters.values(), *large])

    def bind(self) -> bool:
        """Give modules back what they had, the same modules, parameters and buffers; whether anything was amiss."""
        changed = False
        for module, modules, parameters, buffers in self._members:
            changed |= _same_again(module._modules, modules)
            changed |= _same_again(module._parameters, parameters)
            changed |= _same_again(module._buffers, buffers)
        return changed

    def restore(self) -> bool:
        """Put everything back; whether modules had other parts, or something may have written into a weight."""
        changed = self.bind()
        for tensor, memory, copy in self.watch.copies:
            if memory_of(tensor) != memory_of(memory) or tensor.shape != memory.shape:
                tensor.data = memory
            with torch.no_grad():
                if not torch.equal(_bits(tensor), _bits(copy)):
                    tensor.detach().copy_(copy)
        for parameter, gradient, wanted in self._gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient
            if parameter.requires_grad != wanted:
                parameter.requires_grad_(wanted)
        return changed or bool(self.watch.copies)


def _same_again(now: dict[str, Part], before: dict[str, Part]) -> bool:
    """The same members, each the same object; whether they were not."""
    if len(now) == len(before) and all(name in now and now[name] is part for name, part in before.items()):
        return False
    now.clear()
    now.update(before)
    return True


class _Watch(TorchFunctionMode):
    """Copies a weight just before anything may write into it.

    Attributes:
        copies: (weight, its memory, its numbers) of all that may have been written into.
    """

    only_watches = True

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        self._of: dict[int, list[Tensor]] = {}
        for tensor in tensors:
            self._of.setdefault(memory_of(tensor), []).append(tensor)
        self._of.pop(0, None)
        self.copies: list[tuple[Tensor, Tensor, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if _may_write(func, name, kwargs):
            for value in (*args, *(kwargs or {}).values()):
                self._note(value)
        return func(*args, **kwargs) if kwargs else func(*args)

    def _note(self, value: Any) -> None:
        if isinstance(value, list | tuple):
            for part in value:
                self._note(part)
        elif isinstance(value, Tensor):
            for tensor in self._of.pop(memory_of(value), ()):
                self.copies.append((tensor, tensor.data, tensor.detach().clone()))


def _may_write(func: Any, name: str, kwargs: Any) -> bool:
    if name.startswith("__"):
        if name in ("__get__", "__set__"):
            return getattr(func.__self__, "__name__", "") in _GETTERS
        return name.startswith("__i") or name == "__setitem__" or name in _POINTERS
    if name in _FLAGS:
        return False
    return name.endswith("_") or name in _POINTERS or (kwargs is not None and "out" in kwargs)


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().reshape(-1).view(torch.uint8)

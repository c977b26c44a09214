"""The promise that a model is left exactly as it was found, whatever happens in between."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock, local
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from foveal.engine.buffers import Buffers
from foveal.errors import ModelError


def unwrap(model: nn.Module) -> nn.Module:
    """The module a person wrote, inside `torch.compile`, `DataParallel` and `DistributedDataParallel`.

    A compiled module ignores hooks added after its compilation without a word, and data-parallel replicas
    hide their activations; both carry the original beside them.

    Raises:
        ModelError: for TorchScript, whose inner modules cannot be observed.
    """
    while True:
        if isinstance(model, torch.jit.ScriptModule):
            raise ModelError(
                "this model is TorchScript, whose inner layers cannot be observed: "
                "pass the nn.Module it was scripted from"
            )
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def is_compiled(model: nn.Module) -> bool:
    """Whether any part of `model` would run compiled code instead of its own forward."""
    return _compiled(every_module(model))


def every_module(model: nn.Module) -> list[nn.Module]:
    """What `model.modules()` has, once each, in a third of the time: small networks notice."""
    found, left = {model: None}, [model]
    while left:
        for child in left.pop()._modules.values():
            if child is not None and child not in found:
                found[child] = None
                left.append(child)
    return list(found)


def _compiled(modules: list[nn.Module]) -> bool:
    return any("_orig_mod" in m._modules or m._compiled_call_impl is not None for m in modules)


_locks: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()


def _lock(model: nn.Module) -> RLock:
    """One a model: threads take turns, because hooks and modes belong to the model, not to the thread."""
    return _locks.setdefault(model, RLock())


class _Block(ExitStack):
    """What one block has to put back, and whether it was left."""

    left = False


class _Blocks(local):
    """The blocks this thread is in, the innermost last."""

    def __init__(self) -> None:
        self.entered: list[_Block] = []


_blocks = _Blocks()


@contextmanager
def untouched(model: nn.Module, *, freeze: bool = True) -> Iterator[None]:
    """Run with `model` in evaluation mode and its weights frozen, then put everything back.

    Restored, also after an exception or Ctrl-C: the train/eval mode of each module, `requires_grad` of each
    parameter, every buffer, the state of torch's random generators, and the gradient, inference and
    compilation modes of the caller. `.grad` is never written because nothing in the model asks for it. Threads
    that use the same model take turns.

    Blocks of one thread may overlap, as generators do: what was changed first is put back last, so a block that is
    left early waits for those entered after it.

    Args:
        freeze: False where weights are to take part in a graph.

    Raises:
        ModelError: for weights made under inference mode, or not made yet.
    """
    entered, block = _blocks.entered, _Block()
    entered.append(block)
    try:
        block.enter_context(_lock(model))
        _enter(block, model, freeze)
        yield
    finally:
        block.left = True
        while entered and entered[-1].left:
            entered.pop().close()


def _enter(block: ExitStack, model: nn.Module, freeze: bool) -> None:
    modules = every_module(model)
    parameters = [p for module in modules for p in module._parameters.values() if p is not None]
    _check(model, parameters, [b for module in modules for b in module._buffers.values() if b is not None])
    # The flag itself rather than `train()`, which some models override to fuse or merge weights.
    training = [module for module in modules if module.training]
    trainable = [p for p in parameters if p.requires_grad and p.is_leaf] if freeze else []
    buffers = Buffers(modules)
    devices = sorted({p.device.index or 0 for p in parameters if p.is_cuda})
    block.enter_context(torch.random.fork_rng(devices))
    block.enter_context(torch.inference_mode(False))
    block.enter_context(torch.enable_grad())
    # Importing the compiler costs seconds; it is only needed if someone already did.
    if "torch._dynamo" in sys.modules or _compiled(modules):
        block.enter_context(_eager())
    block.callback(_restore, training, trainable, buffers)
    if buffers.watch:
        block.enter_context(buffers.watch)
    for module in training:
        module.training = False
    for parameter in trainable:
        parameter.requires_grad_(False)


def _check(model: nn.Module, parameters: list[nn.Parameter], buffers: list[Tensor]) -> None:
    if any(is_lazy(tensor) for tensor in (*parameters, *buffers)):
        raise ModelError(
            f"this {type(model).__name__} has lazy layers whose weights are not made yet: "
            "run it once on an example first"
        )
    if any(p.is_inference() for p in parameters):
        raise ModelError(
            f"the weights of this {type(model).__name__} were made under torch.inference_mode, where gradients are "
            "impossible for good: build or load the model outside of it"
        )


def _eager() -> Any:
    return torch.compiler.set_stance("force_eager")


def _restore(
    training: list[nn.Module],
    trainable: list[nn.Parameter],
    buffers: Buffers,
) -> None:
    for module in training:
        module.training = True
    for parameter in trainable:
        parameter.requires_grad_(True)
    buffers.restore()

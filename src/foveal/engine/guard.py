"""The promise that a model is left exactly as it was found, whatever happens in between."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock, local
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from foveal.engine.buffers import Buffers
from foveal.engine.locks import turn_at
from foveal.engine.randomness import random_state_kept
from foveal.engine.unwatched import looking
from foveal.engine.weights import Weights, only_read, written_buffers
from foveal.errors import ModelError


def unwrap(model: nn.Module) -> nn.Module:
    """The module a person wrote, inside `torch.compile`, `DataParallel` and `DistributedDataParallel`.

    A compiled module ignores hooks added after its compilation without a word, and data-parallel replicas
    hide their activations; both carry the original beside them. TorchScript is what it is: it runs, and its inner
    layers cannot be observed.
    """
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def every_module(model: nn.Module) -> list[nn.Module]:
    """What `model.modules()` has, once each, in a quarter of the time: small networks notice."""
    modules, seen = [model], {model}
    for module in modules:  # which grows meanwhile
        if held := module._modules:
            for child in held.values():
                if child is not None and child not in seen:
                    seen.add(child)
                    modules.append(child)
    return modules


def are_compiled(modules: Sequence[nn.Module]) -> bool:
    """Whether any of these would run compiled code instead of its own forward."""
    return any("_orig_mod" in m._modules or m._compiled_call_impl is not None for m in modules)


class _Block(ExitStack):
    """What one block has to put back, of which model, and whether it was left."""

    left = False
    model: nn.Module | None = None
    before: _Before | None = None


class _Blocks(local):
    """The blocks this thread is in, the innermost last."""

    def __init__(self) -> None:
        self.entered: list[_Block] = []


_blocks = _Blocks()

_stateful: WeakSet[nn.Module] = WeakSet()
"""Models whose forward was seen to write into their buffers, or to do what may write into their weights."""


def only_reads(model: nn.Module) -> bool:
    """Whether no forward so far was seen to write into buffers or weights."""
    return model not in _stateful


def rewind(model: nn.Module) -> None:
    """Before a further forward in one block: buffers as the block found them, so that every forward begins alike."""
    if model in _stateful:
        block = next((block for block in reversed(_blocks.entered) if block.model is model), None)
        if block and block.before:
            block.before.rewind()


@contextmanager
def untouched(model: nn.Module, *, freeze: bool = True) -> Iterator[None]:
    """Run with `model` in evaluation mode and its weights frozen, then put everything back.

    Restored, also after an exception or Ctrl-C:

    * the train/eval mode of each module, its backward hooks, which are set aside meanwhile, and which modules,
      parameters and buffers it has;
    * `requires_grad` and `.grad` of each parameter;
    * every buffer, bit for bit; but for running statistics of batch norms in networks that are known to only read them;
    * every parameter, bit for bit, that the forward may have written into (`foveal.engine.weights` says how that is
      noticed);
    * the state of torch's random generators, and the gradient, inference and compilation modes of the caller.

    What else a forward leaves behind in Python, such as a counter or a list of its own, is not undone. Threads that use
    the same model, or models that share a part, take turns.

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
        modules = every_module(model)
        block.enter_context(turn_at(model, modules))
        _enter(block, model, modules, freeze)
        yield
    finally:
        block.left = True
        while entered and entered[-1].left:
            entered.pop().close()


def hooked_backward(model: nn.Module, modules: Sequence[nn.Module]) -> list[str]:
    """Names of the modules on which a person has hooks for the backward pass; "every module" for global ones.

    Args:
        modules: all of them, those inside included.
    """
    if not any(_global_hooks()) and not any(m._backward_hooks or m._backward_pre_hooks for m in modules):
        return []
    own = [name or type(module).__name__ for name, module in model.named_modules() if any(_backward_hooks(module))]
    return own + (["every module"] if any(_global_hooks()) else [])


def _enter(block: _Block, model: nn.Module, modules: Sequence[nn.Module], freeze: bool) -> None:
    parameters = [p for m in modules if (own := m._parameters) for p in own.values() if p is not None]
    buffers = [b for m in modules if (held := m._buffers) for b in held.values() if b is not None]
    _check(model, parameters, buffers)
    devices = sorted({p.device.index or 0 for p in parameters if p.is_cuda})
    before = _Before(modules, parameters, buffers, freeze)
    block.model, block.before = model, before
    block.enter_context(random_state_kept(devices))
    block.enter_context(torch.inference_mode(False))
    block.enter_context(torch.enable_grad())
    # Importing the compiler costs seconds; it is only needed if someone already did.
    if "torch._dynamo" in sys.modules or are_compiled(modules):
        block.enter_context(_eager())
    if devices and any(isinstance(module, nn.RNNBase) for module in modules):
        # cuDNN has no backward pass for recurrent layers in evaluation mode.
        block.enter_context(torch.backends.cudnn.flags(enabled=False))
    block.callback(_restore, model, before)
    for watch in before.watches:
        block.enter_context(watch)
    block.enter_context(_without_global_hooks())
    before.leave()


def _restore(model: nn.Module, before: _Before) -> None:
    if before.restore():
        _stateful.add(model)


class _Before:
    """What a block changes, and what a forward may change, as it was."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        parameters: Sequence[nn.Parameter],
        buffers: Sequence[Tensor],
        freeze: bool,
    ) -> None:
        # The flag itself rather than `train()`, which some models override to fuse or merge weights; frozen TorchScript
        # has none.
        self._modules, self._modes = modules, [getattr(m, "training", None) for m in modules]
        self._trainable = [p for p in parameters if p.requires_grad and p.is_leaf] if freeze else []
        self._hooks = [(m, _backward_hooks(m)) for m in modules if m._backward_hooks or m._backward_pre_hooks]
        known = only_read(modules)
        self.buffers = Buffers(modules, written_buffers(modules) if known else buffers)
        self._weights = None if known else Weights(modules, self.buffers.large)
        watches = (self.buffers.watch, self._weights and self._weights.watch)
        self.watches = [watch for watch in watches if watch]

    def leave(self) -> None:
        """Evaluation mode, frozen weights, no hooks of others on the way back."""
        for module, training in zip(self._modules, self._modes, strict=True):
            if training:
                module.training = False
        with looking():  # what watches for writes is here by now, and these are none
            for parameter in self._trainable:
                parameter.requires_grad = False
        for module, _ in self._hooks:
            module._backward_hooks, module._backward_pre_hooks = OrderedDict(), OrderedDict()

    def rewind(self) -> None:
        """Buffers as they were, in the middle of things."""
        if self._weights:
            self._weights.bind()
        self.buffers.restore()

    def restore(self) -> bool:
        """Put everything back; whether the forward had written into buffers, or may have written into weights."""
        for module, training in zip(self._modules, self._modes, strict=True):
            if training is not None and module.training != training:
                module.training = training
        for parameter in self._trainable:
            parameter.requires_grad_(True)
        for module, (hooks, pre_hooks) in self._hooks:
            module._backward_hooks, module._backward_pre_hooks = hooks, pre_hooks
        bound = self._weights.restore() if self._weights else False
        return self.buffers.restore() or bound


def _backward_hooks(module: nn.Module) -> tuple[Any, Any]:
    return module._backward_hooks, module._backward_pre_hooks


class _GlobalHooks:
    """Hooks on the backward pass of every module, and how many blocks have set them aside."""

    def __init__(self) -> None:
        self.guard, self.blocks, self.kept = Lock(), 0, (dict[int, Any](), dict[int, Any]())


_aside = _GlobalHooks()


def _global_hooks() -> tuple[dict[int, Any], dict[int, Any]]:
    every = nn.modules.module
    return every._global_backward_hooks, every._global_backward_pre_hooks


@contextmanager
def _without_global_hooks() -> Iterator[None]:
    if not any(_global_hooks()) and not _aside.blocks:
        yield
        return
    with _aside.guard:
        _aside.blocks += 1
        for hooks, kept in zip(_global_hooks(), _aside.kept, strict=True):
            kept.update(hooks)
            hooks.clear()
    try:
        yield
    finally:
        with _aside.guard:
            _aside.blocks -= 1
            if not _aside.blocks:
                for hooks, kept in zip(_global_hooks(), _aside.kept, strict=True):
                    hooks.update(kept)
                    kept.clear()


def _check(model: nn.Module, parameters: Sequence[nn.Parameter], buffers: Sequence[Tensor]) -> None:
    if {UninitializedParameter, UninitializedBuffer} & {*map(type, parameters), *map(type, buffers)}:
        raise ModelError(
            f"this {type(model).__name__} has lazy layers that have no weights yet: "
            "run it once on an example image first"
        )
    if any(p.is_inference() for p in parameters):
        raise ModelError(
            f"the weights of this {type(model).__name__} were created under torch.inference_mode, so they can never "
            "have gradients: build or load the model outside of it"
        )


def _eager() -> Any:
    return torch.compiler.set_stance("force_eager")

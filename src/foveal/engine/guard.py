"""The promise that a model is left exactly as it was found, whatever happens in between."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

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
    return any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules())


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Run with `model` in evaluation mode and its weights frozen, then put everything back.

    Restored, also after an exception or Ctrl-C: the train/eval mode of each module, `requires_grad` of each
    parameter, every buffer, the state of torch's random generators, and the gradient, inference and
    compilation modes of the caller. `.grad` is never written because nothing in the model asks for it.

    Raises:
        ModelError: for weights made under inference mode.
    """
    if any(p.is_inference() for p in model.parameters()):
        raise ModelError(
            f"the weights of this {type(model).__name__} were made under torch.inference_mode, where gradients are "
            "impossible for good: build or load the model outside of it"
        )
    modes = [(module, module.training) for module in model.modules()]
    trainable = [p for p in model.parameters() if p.requires_grad and p.is_leaf]
    buffers = [(buffer, buffer._version, buffer.clone()) for buffer in model.buffers() if not buffer.is_inference()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with ExitStack() as undo:
        undo.enter_context(torch.random.fork_rng(devices))
        undo.enter_context(torch.inference_mode(False))
        undo.enter_context(torch.enable_grad())
        # Importing the compiler costs seconds; it is only needed if someone already did.
        if "torch._dynamo" in sys.modules or is_compiled(model):
            undo.enter_context(_eager())
        undo.callback(_restore, modes, trainable, buffers)
        model.eval()
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield


def _eager() -> Any:
    return torch.compiler.set_stance("force_eager")


def _restore(
    modes: list[tuple[nn.Module, bool]],
    trainable: list[nn.Parameter],
    buffers: list[tuple[torch.Tensor, int, torch.Tensor]],
) -> None:
    for module, training in modes:
        module.training = training
    for parameter in trainable:
        parameter.requires_grad_(True)
    with torch.no_grad():
        for buffer, version, copy in buffers:
            if buffer._version != version:
                buffer.copy_(copy)

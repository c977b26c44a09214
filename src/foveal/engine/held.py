"""What a network holds: its parameters, its buffers and the tensors among its attributes, and where."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from foveal.engine.address import named_modules, unwrapped
from foveal.engine.guard import every_module
from foveal.engine.model_errors import reason


@dataclass(frozen=True, eq=False)
class HeldTensor:
    """Where a tensor is held, and by which module.

    Attributes:
        owner: name of the module that computes with it; that of the layer, where a parametrization makes its weight.
        label: of the tensor in there.
        container, key: what holds it; None where nothing else can be put there.
        kept: whether it belongs to what a network saves; a buffer that does not is no weight, but follows from others.
    """

    owner: str
    label: str
    container: Any
    key: Any
    tensor: Tensor
    kept: bool = True

    @property
    def name(self) -> str:
        return f"{self.owner}.{self.label}" if self.owner else self.label


def places(model: nn.Module) -> list[HeldTensor]:
    """All of them, parameters and buffers of a module before its attributes."""
    tensors: list[HeldTensor] = []
    for name, module in named_modules(model).items():
        owner, _, own = name.rpartition(".")
        if isinstance(module, nn.ParameterList | nn.ParameterDict):  # no layer, but a list that one holds
            tensors += _own(owner, own + ".", module)
            continue
        tensors += _own(name, "", module)
        if is_parametrized(module):
            parts: Any = module.parametrizations
            tensors += [place for key, part in parts.named_modules() for place in _own(name, f"{key}.", part)]
    return tensors


def _own(owner: str, before: str, module: nn.Module) -> Iterator[HeldTensor]:
    passing = module._non_persistent_buffers_set
    for held in (module._parameters, module._buffers):
        for key, tensor in held.items():
            if tensor is not None:
                yield HeldTensor(owner, before + key, held, key, tensor, key not in passing)
    for key, value in vars(module).items():
        if key not in _MACHINERY:
            yield from _inside(owner, before + key, vars(module), key, value)


_MACHINERY = frozenset(vars(nn.Module()))


def _inside(owner: str, label: str, container: Any, key: Any, value: Any) -> Iterator[HeldTensor]:
    """Tensors in an attribute, also in lists and mappings."""
    if isinstance(value, Tensor):
        yield HeldTensor(owner, label, container, key, value)
    elif isinstance(value, list | tuple | dict):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for inner, part in parts:
            yield from _inside(owner, f"{label}.{inner}", None if isinstance(value, tuple) else value, inner, part)


class UncopiedError(Exception):
    """A module says itself how it is copied, and cannot be."""


def twin(model: nn.Module) -> nn.Module:
    """Modules of their own that hold the very tensors of `model`, and whatever else it holds.

    Raises:
        UncopiedError: where there can be no such thing.
    """
    memo: dict[int, Any] = {}
    for module in every_module(model):
        for value in (*module._parameters.values(), *module._buffers.values(), *vars(module).values()):
            _share(value, memo)
    try:
        for module in every_module(model):
            if (inner := unwrapped(module)) is not module:
                memo[id(module)] = copy.deepcopy(inner, memo)
        return copy.deepcopy(model, memo)
    except (TypeError, RuntimeError, ValueError, AttributeError, NotImplementedError) as error:
        raise UncopiedError(reason(error)) from error


def shell(model: nn.Module) -> nn.Module:
    """Another module that holds the very modules of `model`."""
    own: nn.Module = object.__new__(type(model))
    vars(own).update({key: copy.copy(v) if key in _MACHINERY else v for key, v in vars(model).items()})
    return own


def _share(value: Any, memo: dict[int, Any]) -> None:
    """Have the copy hold this itself, unless it is a module, or something in which there may be some."""
    if isinstance(value, dict):
        for part in value.values():
            _share(part, memo)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            _share(part, memo)
    elif not isinstance(value, nn.Module | types.MethodType):
        memo[id(value)] = value


def unreadable(model: nn.Module) -> str | None:
    """Why what this network computes with cannot be observed, nor changed; None where it can."""
    for module in every_module(model):
        if isinstance(module, torch.jit.ScriptModule):
            return "a part of it is TorchScript: pass the nn.Module that was scripted"
        if any(isinstance(value, torch.ScriptObject) for value in vars(module).values()):
            return "its weights are packed for quantized arithmetic: pass the network before quantization"
    return None

"""How a person points at a layer, and which tensor that means."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit._trace import TopLevelTracedModule
from torch.nn.utils.parametrize import is_parametrized

from foveal.errors import LayerError, UnknownLayer

INPUT = "input"
"""The network's input itself, as a layer; unless a module goes by that name."""

_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
_ADDRESS = re.compile(r"^(?P<module>[^\[\]#]*)(\[(?P<key>[^\]]+)\])?(#(?P<call>\d+))?$")


@dataclass(frozen=True)
class Address:
    """One tensor inside a network: what `module` returned, `[key]` of it, at its `#call`; or what went into it.

    Written `layer4`, `encoder[features]` (one entry of a dict, tuple or object that the module returns), `relu#0` (the
    first call of a module that `forward` uses several times; without it, the last call counts) or `fc.input` (what
    goes into a module, unless it has a part of that name).
    """

    module: str
    key: str | None = None
    call: int | None = None
    before: bool = False

    @classmethod
    def parse(cls, text: str) -> Address:
        match = _ADDRESS.match(text)
        if match is None:
            raise LayerError(
                f"cannot read layer {text!r}: write name, name[key] or name#call, for example 'encoder[0]#1'"
            )
        call = match["call"]
        return cls(match["module"], match["key"], None if call is None else int(call))

    @classmethod
    def resolve(cls, model: nn.Module, text: str) -> tuple[Address, nn.Module | None]:
        """The address in that model, and the module to observe; None where it is the model's own input.

        Raises:
            LayerError: when there is no such module.
        """
        address = cls.parse(text)
        if is_input(model, address.module):
            return address, None
        owner, _, last = address.module.rpartition(".")
        if last == INPUT and owner and INPUT not in find_module(model, owner)._modules:
            address = dataclasses.replace(address, module=owner, before=True)
        return address, find_module(model, address.module)

    def __str__(self) -> str:
        return (
            self.module
            + f".{INPUT}" * self.before
            + (f"[{self.key}]" if self.key else "")
            + ("" if self.call is None else f"#{self.call}")
        )


def is_input(model: nn.Module, name: str) -> bool:
    """Whether `name` means the network's input."""
    return name == INPUT and INPUT not in model._modules


def find_module(model: nn.Module, name: str) -> nn.Module:
    """The submodule called `name`; wrappers that parallel or compiled parts add to names may be left out.

    Raises:
        LayerError: when there is none, with the nearest names.
    """
    if _is_script(model):
        return _observable(model, name)
    try:
        return _observable(unwrapped(model.get_submodule(name)), name)
    except AttributeError:  # compiled or parallel parts add to names; look further
        modules = named_modules(model)
    if name in modules:
        return modules[name]
    near = get_close_matches(name, modules, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the top level has {', '.join(_top_level(modules))}"
    raise UnknownLayer(f"there is no layer {name!r} in {type(model).__name__}: {hint}")


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Every submodule by its plain name, the model itself as ''; parallel and compiled wrappers are looked through.

    Left out are parametrizations, whose modules make weights, and TorchScript, which cannot be observed.
    """
    modules: dict[str, nn.Module] = {}
    stack = [("", model)]
    while stack:
        name, module = stack.pop()
        module = unwrapped(module)
        if _is_script(module):
            continue
        modules.setdefault(name, module)
        stack += [(f"{name}.{key}" if name else key, child) for key, child in reversed(_children(module))]
    return modules


def _children(module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [
        (key, child)
        for key, child in module._modules.items()
        if child is not None and not (key == "parametrizations" and is_parametrized(module))
    ]


def unwrapped(module: nn.Module) -> nn.Module:
    """The module behind a compiled or parallel one, whose own hooks run."""
    while True:
        inner = module._modules["_orig_mod"] if "_orig_mod" in module._modules else None  # noqa: SIM401  no get in scripts
        if isinstance(module, _PARALLEL):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _is_script(module: nn.Module) -> bool:
    # What torch.jit.trace returned takes hooks; what is inside of it, and what torch.jit.script made, does not.
    return isinstance(module, torch.jit.ScriptModule) and not isinstance(module, TopLevelTracedModule)


def _observable(module: nn.Module, name: str) -> nn.Module:
    if _is_script(module):
        raise LayerError(
            f"layer {name!r} is TorchScript, whose layers cannot be observed: choose a layer outside of it, or an "
            "input method, such as occlusion or inputxgradient"
        )
    return module


def expand(model: nn.Module, pattern: str) -> list[str]:
    """Names of the modules a wildcard matches: `*` and `?` within one level, `**` across levels."""
    expression = re.escape(pattern).replace(r"\*\*", ".+").replace(r"\*", "[^.]+").replace(r"\?", "[^.]")
    return [name for name in named_modules(model) if re.fullmatch(expression, name)]


def pick(value: Any, address: Address) -> Tensor:
    """The tensor that `address` means among what its module returned.

    Raises:
        LayerError: when the choice is not obvious; the message lists the keys to choose from.
    """
    if isinstance(value, Tensor) and address.key is None:
        return value
    parts = tensor_parts(value)
    if address.key is not None:
        if address.key in parts:
            return parts[address.key]
        plain = f"write {address.module!r}" if isinstance(value, Tensor) else "choose another layer"
        raise UnknownLayer(
            f"layer {address.module!r} returns no {address.key!r}: "
            + (
                f"choose one of {_keys(address, parts)}"
                if parts
                else f"it returns a {type(value).__name__}, so {plain}"
            )
        )
    spatial = {key: part for key, part in parts.items() if part.ndim == 4}
    if len(spatial) == 1:
        return next(iter(spatial.values()))
    raise LayerError(
        f"layer {address.module!r} returns {type(value).__name__} with {len(spatial)} feature maps: "
        f"choose one of {_keys(address, parts) or 'another layer'}"
    )


def replace(value: Any, old: Tensor, new: Tensor) -> Any:
    """`value` with the tensor `old` exchanged for `new`, containers rebuilt as they were."""
    if value is old:
        return new
    if isinstance(value, MutableMapping):
        rebuilt = copy(value)  # a constructor may want something else than a mapping
        for key, part in value.items():
            rebuilt[key] = replace(part, old, new)
        return rebuilt
    if isinstance(value, Mapping):
        return type(value)({key: replace(part, old, new) for key, part in value.items()})  # type: ignore[call-arg]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(replace(part, old, new) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(replace(part, old, new) for part in value)
    attributes = [key for key, part in getattr(value, "__dict__", {}).items() if part is old]
    if not attributes:
        return value
    rebuilt = copy(value)
    for key in attributes:
        object.__setattr__(rebuilt, key, new)  # frozen dataclasses too
    return rebuilt


def tensor_parts(value: Any) -> dict[str, Tensor]:
    """The tensors of a tuple, list, mapping or object, by position, key or attribute."""
    if isinstance(value, Mapping):
        items: Sequence[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        items = list(zip(value._fields, value, strict=True))
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        items = list(getattr(value, "__dict__", {}).items())
    return {str(key): part for key, part in items if isinstance(part, Tensor)}


def _keys(address: Address, parts: Mapping[str, Tensor]) -> str:
    return ", ".join(f"'{address.module}[{key}]' {tuple(part.shape)}" for key, part in parts.items())


def _top_level(modules: Mapping[str, nn.Module]) -> list[str]:
    return [name for name in modules if name and "." not in name][:12]

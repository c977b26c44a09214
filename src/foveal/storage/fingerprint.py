"""What tells things apart that must not be mixed up: one fingerprint over every byte that decides an outcome.

    of = fingerprint(weights=module, images=batch.tensor, target=decision, options={"steps": 256})

Whatever resumes, caches or adds to a table keeps the fingerprint of what it was made with beside its work, and takes
it up only where that is equal. A thing that cannot be read is equal to nothing, not even to itself, so that in doubt
work is done again.
"""

from __future__ import annotations

import dis
import enum
import functools
import re
import struct
import types
import uuid
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AnySet
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from foveal.storage.reading import opened

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
BLOCK = 2**22


def fingerprint(**things: Any) -> str:
    """64 hexadecimal digits that differ wherever anything in the things does: names, types, shapes, bytes, code."""
    hasher = _Fingerprint()
    hasher.add(things)
    return hasher.hash.hexdigest()


def file_fingerprint(path: Path) -> str:
    """Of what is in a file, whatever its name. Raises OSError where it cannot be read."""
    hasher = blake2b(digest_size=32)
    with opened(path) as file:
        while block := file.read(BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


class _Fingerprint:
    """Things written one after the other into a hash, each with its kind and its length before it."""

    def __init__(self) -> None:
        self.hash = blake2b(digest_size=32)
        self.enclosing: dict[int, int] = {}  # what is being added, by identity: a list may hold itself

    def add(self, thing: Any) -> None:
        if id(thing) in self.enclosing:
            self.write("above", struct.pack("<q", self.enclosing[id(thing)]))
            return
        self.enclosing[id(thing)] = len(self.enclosing)
        self._add(thing)
        del self.enclosing[id(thing)]

    def write(self, kind: str, content: Any = b"") -> None:
        content = memoryview(content)
        self.hash.update(f"{kind}:{content.nbytes};".encode())
        self.hash.update(content)

    def _add(self, thing: Any) -> None:
        if thing is None or thing is Ellipsis or isinstance(thing, bool | int):
            self.write(type(thing).__name__, repr(thing).encode())
        elif isinstance(thing, str):
            self.write("str", thing.encode("utf-8", "surrogatepass"))
        elif isinstance(thing, float | complex):
            self.write("number", struct.pack("<dd", thing.real, thing.imag))
        elif isinstance(thing, bytes | bytearray):
            self.write("bytes", thing)
        elif isinstance(thing, Tensor):
            self._tensor(thing)
        elif isinstance(thing, np.ndarray | np.generic) and thing.dtype != object:
            self.write(f"array {thing.dtype.str} {thing.shape}", np.ascontiguousarray(thing).reshape(-1).view(np.uint8))
        elif isinstance(thing, nn.Module):
            self._module(thing)
        elif isinstance(thing, Mapping):
            self._all("mapping", (part for item in thing.items() for part in item), len(thing))
        elif isinstance(thing, list | tuple | range):
            self._all("sequence", thing, len(thing))
        elif isinstance(thing, AnySet):
            self._all("set", sorted(fingerprint(one=member) for member in thing), len(thing))
        elif isinstance(thing, Path):
            self._all("path", [str(thing), file_fingerprint(thing) if thing.is_file() else None], 2)
        else:
            self._object(thing)

    def _all(self, kind: str, things: Iterable[Any], count: int) -> None:
        self.write(kind, struct.pack("<q", count))
        for thing in things:
            self.add(thing)

    def _tensor(self, tensor: Tensor) -> None:
        about = f"tensor {tensor.dtype} {tuple(tensor.shape)} {tensor.layout}"
        if tensor.is_meta:
            self.write(about)
        elif tensor.is_quantized:
            self._all(about, [str(tensor.qscheme()), tensor.dequantize(), tensor.int_repr()], 3)
        elif tensor.layout != torch.strided:
            self._all(about, [tensor.to_dense()], 1)
        else:
            plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
            # A single number may keep any stride, which a view of its bytes would not stand.
            flat = plain.as_strided((plain.numel(),), (1,))
            self.write(about, flat.view(torch.uint8).numpy())

    def _module(self, module: nn.Module) -> None:
        """Its parts and their settings, and every parameter and buffer, also those that are not saved; not its mode."""
        parts = {name: (_named(type(part)), _settings(part)) for name, part in module.named_modules()}
        state = {**module.state_dict(), **dict(module.named_parameters()), **dict(module.named_buffers())}
        self._all("module", [ADDRESS.sub("", repr(module)), parts], 2)
        self._all("state", [part for name in sorted(state) for part in (name, state[name])], len(state))

    def _object(self, thing: Any) -> None:
        """Settings by their fields, functions by their code and what they hold, other objects by what is in them."""
        if isinstance(thing, type | types.BuiltinFunctionType | types.ModuleType | enum.Enum):
            self.write("name", (str(thing) if isinstance(thing, enum.Enum) else _named(thing)).encode())
        elif isinstance(thing, torch.dtype | torch.device | torch.Size | torch.layout):
            self.write("torch", str(thing).encode())
        elif isinstance(thing, torch.Generator):
            self._all("generator", [thing.get_state()], 1)
        elif isinstance(thing, Image.Image):
            self._all("picture", [thing.mode, thing.size, thing.tobytes()], 3)
        elif isinstance(thing, functools.partial):
            self._all("partial", (thing.func, thing.args, thing.keywords), 3)
        elif isinstance(thing, types.MethodType):
            self._all("method", (thing.__func__, thing.__self__), 2)
        elif isinstance(thing, types.FunctionType):
            held = [_content(cell) for cell in thing.__closure__ or ()]
            self._all("function", (_code(thing.__code__), thing.__defaults__, thing.__kwdefaults__, held), 4)
        elif is_dataclass(thing):
            own = {entry.name: getattr(thing, entry.name, None) for entry in fields(thing)}
            self._all("settings", (_named(type(thing)), own), 2)
        elif (inside := _inside(thing)) is not None:
            self._all("object", (_named(type(thing)), inside), 2)
        else:
            self.write("unknown", uuid.uuid4().bytes)


def _named(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', thing)}"


def _settings(part: nn.Module) -> dict[str, Any]:
    """The plain values that a part of a network keeps, such as its stride; not those that it counts up as it runs."""
    state = {"training", *_written(getattr(type(part).forward, "__code__", None))}
    return {name: value for name, value in vars(part).items() if name[0] != "_" and name not in state and _plain(value)}


@functools.cache
def _written(code: types.CodeType | None) -> frozenset[str]:
    """Names of the attributes that a function sets."""
    steps = dis.get_instructions(code) if code else ()
    return frozenset(step.argval for step in steps if step.opname == "STORE_ATTR")


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str) or (isinstance(value, list | tuple) and all(map(_plain, value)))


def _code(code: types.CodeType) -> list[Any]:
    constants = [_code(constant) if isinstance(constant, types.CodeType) else constant for constant in code.co_consts]
    return [code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that has no value yet
        return None


def _inside(thing: Any) -> dict[str, Any] | None:
    """What an object holds; None where that cannot be seen."""
    if hasattr(thing, "__dict__"):
        return dict(vars(thing))
    slots = list(_slots(type(thing)))
    return {name: getattr(thing, name, None) for name in slots} if slots else None


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        held = vars(base).get("__slots__", ())
        yield from (held,) if isinstance(held, str) else held

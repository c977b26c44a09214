"""Where what a network holds meets the image: its weights as the operations see them, however they came about.

A weight is whatever does not depend on the image, is made of what the network holds, and is given to an operation
together with something that does depend on the image. A parameter is one, and so is the quotient of two parameters,
a parameter behind a mask, a slice of a large one, and what is unpacked from integers.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from foveal.engine.address import tensor_parts
from foveal.engine.held import HeldTensor
from foveal.engine.memory import memory_of
from foveal.engine.rules.mode import plain_name
from foveal.engine.unwatched import looking

Names: TypeAlias = "tuple[str, ...]"
"""Of the places that something is made of."""

MIXING = frozenset(
    {f"{kind}{d}d" for kind in ("conv", "conv_transpose") for d in (1, 2, 3)}
    | {"linear", "bilinear", "matmul", "rmatmul", "mm", "bmm", "addmm", "baddbmm", "einsum"}
)
"""Operations in which every output has a share of several inputs: a layer begins with one."""

_SHAPES = frozenset({"zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like"})
_SHAPES |= {"new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "type_as", "to", "expand_as", "view_as"}
_SHAPES |= {"reshape_as", "get"}
"""Operations that ask a second tensor for its shape or type only, or make one of nothing else."""

_ARGUMENTS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(MIXING - {"bilinear"}, ("input", "weight", "bias")),
    "bilinear": ("input", "input", "weight", "bias"),
    **dict.fromkeys(("matmul", "mm", "bmm"), ("left", "right")),
    "rmatmul": ("right", "left"),
    **dict.fromkeys(("addmm", "baddbmm"), ("bias", "left", "right")),
    "einsum": (),
    "batch_norm": ("input", "mean", "variance", "weight", "bias"),
    "instance_norm": ("input", "mean", "variance", "weight", "bias"),
    "layer_norm": ("input", "shape", "weight", "bias"),
    "group_norm": ("input", "groups", "weight", "bias"),
    "rms_norm": ("input", "shape", "weight"),
    "prelu": ("input", "weight"),
}
_CALLED = {"running_mean": "mean", "running_var": "variance", "other": "right", "mat2": "right"}
_NATIVE_NORMS = (torch.batch_norm, torch.instance_norm)
_NATIVE = ("input", "weight", "bias", "mean", "variance")
"""The same operations have their arguments in another order in torch and in torch.nn.functional."""


@dataclass(frozen=True, eq=False)
class Use:
    """A weight as an operation was given it.

    Attributes:
        role: what it is to the operation, by the name of the argument: "weight", "bias", "mean"; "" if it has none.
        names: what it is made of.
        held: whether it is memory that the network holds, rather than computed in the forward.
        number: of those computed of the same, which it is.
    """

    role: str
    tensor: Tensor
    names: Names
    held: bool
    number: int = 0


@dataclass(frozen=True, eq=False)
class UseSite:
    """An operation on something of the image and on weights.

    Attributes:
        operation: its name, whatever way it is spelled: "add" for `+=`.
        follows: the number of the site whose result it works on as it is; None for none.
    """

    operation: str
    uses: tuple[Use, ...]
    follows: int | None


class Following(TorchFunctionMode):
    """Follows what depends on the image, and what on the network alone, through everything computed while active.

    Args:
        held: what the network holds.
        strangers: whether a tensor from nowhere is of the image, as one is that a hook puts in the place of another;
            else it is a weight where it is used as one.
    """

    def __init__(self, held: Sequence[HeldTensor], *, strangers: bool = False) -> None:
        super().__init__()
        self._strangers = strangers
        self._names: dict[int, str | None] = {}
        self._memories: list[Any] = []  # kept, so that their numbers stay theirs
        for place in held:
            self.know(place.tensor, place.name if place.kept else None)
        self.start(())

    def know(self, tensor: Tensor, name: str | None) -> None:
        """Have this memory go by this name, unless it has one."""
        memory = memory_of(tensor)
        if memory is not None:
            self._memories.append(memory)
            self._names[id(memory)] = self._names.get(id(memory)) or name

    def start(self, given: Any) -> None:
        """What goes into the network is of the image."""
        self._image, self._made, self._numbers = Known(), Known(), Known()
        self._counts: dict[Any, int] = {}
        for tensor in tensors_in(given):
            self._image.add(tensor, True)

    def finish(self, output: Any) -> None:
        """What comes out of it."""

    def run(self, func: Any, args: Any, kwargs: Any, uses: Sequence[Use]) -> Any:
        """The operation, which may be given other weights than these."""
        return func(*args, **kwargs)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, plain_name(getattr(func, "__name__", ""))
        with looking():
            given = tensors_in((args, kwargs))
            seen = any(self._of_image(tensor) for tensor in given)
            uses = tuple(self._uses(func, name, args, kwargs)) if seen and name not in _SHAPES else ()
            before = [version_of(tensor) for tensor in given]
        result = self.run(func, args, kwargs, uses)
        with looking():
            written = [t for t, version in zip(given, before, strict=True) if version_of(t) != version]
            names = () if seen or name in _SHAPES else self._origins(given)
            for tensor in (*tensors_in(result), *written):
                if seen:
                    self._image.add(tensor, True)
                elif not self._is_known(tensor):
                    self._made.add(tensor, names)
            self.after(tensors_in(result), written, name, uses)
        return result

    def after(self, results: Sequence[Tensor], written: Sequence[Tensor], name: str, uses: Sequence[Use]) -> None:
        """What came of an operation."""

    def _uses(self, func: Any, name: str, args: Any, kwargs: Any) -> Iterator[Use]:
        spelled = getattr(func, "__name__", "")
        writes = spelled.endswith("_") != spelled.endswith("__") or spelled.startswith("__i") or name == "setitem"
        into = args[0] if writes and args else kwargs.get("out")
        for role, tensor in _roles(func, name, args, kwargs):
            use = None if tensor is into else self._use(role, tensor, name)
            if use:
                yield use

    def _use(self, role: str, tensor: Tensor, operation: str) -> Use | None:
        memory = memory_of(tensor)
        if memory is None or not (tensor.is_floating_point() or tensor.is_complex()) or self._of_image(tensor):
            return None
        if id(memory) in self._names:
            name = self._names[id(memory)]
            return Use(role, tensor, (name,), held=True) if name else None
        made = self._made.get(tensor)
        if made is None and operation in MIXING:
            self.know(tensor, f"the weight of a {operation} that no module holds")
            return self._use(role, tensor, operation)
        return Use(role, tensor, made, held=False, number=self._number(tensor, memory, made)) if made else None

    def _number(self, tensor: Tensor, memory: torch.UntypedStorage, names: Names) -> int:
        """Which it is of those computed of the same, in the order in which they are used."""
        if self._numbers.get(tensor) is None:
            key = names, memory.nbytes()
            self._numbers.add(tensor, self._counts.get(key, 0))
            self._counts[key] = self._counts.get(key, 0) + 1
        return int(self._numbers.get(tensor))

    def _origins(self, tensors: Sequence[Tensor]) -> Names:
        origins: set[str] = set()
        for tensor in tensors:
            own = self._names.get(id(memory_of(tensor)))
            origins |= {own} if own else set(self._made.get(tensor) or ())
        return tuple(sorted(origins))

    def _of_image(self, tensor: Tensor) -> bool:
        return bool(self._image.get(tensor)) or (self._strangers and not self._is_known(tensor))

    def _is_known(self, tensor: Tensor) -> bool:
        return id(memory_of(tensor)) in self._names or self._made.get(tensor) is not None


class Survey(Following):
    """Notes every site of one forward.

    Attributes:
        sites: in the order in which they run.
        asked: numbers of the memories that operations were given, whether together with the image or not.
        reached: whether what the network returned depends on the image, as far as could be followed; true until then.
    """

    def start(self, given: Any) -> None:
        super().start(given)
        self.sites: list[UseSite] = []
        self.asked: set[int] = set()
        self.reached = True
        self._results = Known()

    def run(self, func: Any, args: Any, kwargs: Any, uses: Sequence[Use]) -> Any:
        with looking():
            given = tensors_in((args, kwargs))
            self.asked.update(id(memory_of(tensor)) for tensor in given)
            if uses:
                follows = next((at for tensor in given if (at := self._results.get(tensor)) is not None), None)
                kept = tuple(replace(use, tensor=use.tensor.detach()) for use in sorted(uses, key=_matters))
                self.sites.append(UseSite(plain_name(getattr(func, "__name__", "")), kept, follows))
        return func(*args, **kwargs)

    def after(self, results: Sequence[Tensor], written: Sequence[Tensor], name: str, uses: Sequence[Use]) -> None:
        for tensor in (*results, *written):
            if uses:
                self._results.add(tensor, len(self.sites) - 1)
            elif written:
                self._results.drop(tensor)

    def finish(self, output: Any) -> None:
        parts = tensors_of(output)
        self.reached = not parts or any(self._of_image(part) for part in parts)


class Known:
    """Something about memories, as long as they live."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def add(self, tensor: Tensor, what: Any) -> None:
        memory = memory_of(tensor)
        if memory is not None:
            entries, number = self._entries, id(memory)
            entries[number] = weakref.ref(memory, lambda _: entries.pop(number, None)), what

    def get(self, tensor: Tensor) -> Any:
        entry = self._entries.get(id(memory_of(tensor)))
        return None if entry is None else entry[1]

    def drop(self, tensor: Tensor) -> None:
        self._entries.pop(id(memory_of(tensor)), None)


def _roles(func: Any, name: str, args: Any, kwargs: Any) -> Iterator[tuple[str, Tensor]]:
    """Each tensor among the arguments, and what it is to the operation."""
    order = _NATIVE if func in _NATIVE_NORMS else _ARGUMENTS.get(name, ())
    for number, value in enumerate(args):
        role = order[number] if number < len(order) else ""
        yield from ((role if value is tensor else "", tensor) for tensor in tensors_in(value))
    for key, value in kwargs.items():
        role = _CALLED.get(key, key) if order else ""
        yield from ((role, tensor) for tensor in tensors_in(value))


def _matters(use: Use) -> bool:
    """Weights before biases, wherever an operation takes them."""
    return use.role not in ("weight", "left", "right")


def tensors_in(values: Any) -> list[Tensor]:
    """Every tensor in a nested structure of lists, tuples and dictionaries, in its order."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def tensors_of(output: Any) -> list[Tensor]:
    """The same of what a network returned, which may be an object that has tensors."""
    return [
        tensor
        for leaf in tree_leaves(output)
        for tensor in ([leaf] if isinstance(leaf, Tensor) else tensor_parts(leaf).values())
    ]


def version_of(tensor: Tensor) -> int:
    """How often something wrote into a tensor; −1 for inference tensors, which do not count it."""
    return -1 if tensor.is_inference() else tensor._version

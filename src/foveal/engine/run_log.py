"""What ran in a traced forward, in order: a forward of another size can be compared with it, operation by operation.

Tensors that depend on the image are numbered as they come, and of all others only the shape is noted:

    convolution   ("#1", (64, 3, 7, 7), None, (2, 2), (3, 3), …)   gives #2
    relu          ("#2",)                                          gives #3
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from foveal.engine.address import tensor_parts
from foveal.engine.positions import Call, Where
from foveal.engine.sizes import Shape, SizeRule, size_rule
from foveal.engine.tensor_map import TensorMap

Note: TypeAlias = Callable[[str, tuple[Any, ...], Any], None]
"""What to do with (a module's name, what it was given, what it returned)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation.

    Attributes:
        given: its arguments, see `spelled`.
        made: the numbers of what it gave; none where it does not depend on the image.
        form: tuple or list, where it gave several tensors in one.
        written: whether it wrote into its first argument, and gave that back.
        sizes: how sizes go through it; None where they have to be those of this run.
        lies: fields and positions of what it was given, as far as that depends on the image.
    """

    func: Any
    given: Any
    made: tuple[int, ...] = ()
    form: type | None = None
    written: bool = False
    sizes: SizeRule | None = None
    lies: tuple[tuple[Any, Where], ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A tensor without its numbers; whether its channels lie last in memory."""

    shape: Shape
    dtype: torch.dtype
    device: torch.device
    channels_last: bool


class RunLog:
    """Operations and modules of one forward.

    Attributes:
        steps: the operations.
        modules: (name, what it was given, what it returned), in the order in which they returned.
        kinds: of each tensor, by its number; the image is number 0.
        output: what the network returned.
        graph: the operations that autograd knows of.
        complete: whether all was noted that another run may be compared by.
    """

    def __init__(self, image: Tensor) -> None:
        self.steps: list[Step] = []
        self.modules: list[tuple[str, Any, Any]] = []
        self.kinds: list[Kind] = []
        self.output: Any = None
        self.graph: tuple[str, ...] = ()
        self.complete = image.ndim == 4
        self._numbers: TensorMap[int] = TensorMap()
        self._made(image)

    def number(self, tensor: Any) -> int | None:
        """None of what does not depend on the image."""
        return self._numbers.get(tensor) if isinstance(tensor, Tensor) else None

    @property
    def held(self) -> bool:
        """Whether something still holds a tensor that depends on the image."""
        return len(self._numbers) > 0

    def operation(self, call: Call, result: Any, fields: Sequence[Any], after: Iterable[Where | None]) -> None:
        """Take down an operation that has just run.

        Args:
            fields: of what it was given, as far as that depends on the image.
            after: where its results lie.
        """
        if not self.complete:
            return
        given = self.spelled((call.args, tuple(call.kwargs.items())))
        written = _writes(call.func)
        results = list(result) if isinstance(result, list | tuple) else [result]
        self.complete = (
            len(fields) == len(call.inputs)
            and _of_tensors(call, results)
            and (not written or self._plainly_written(call, results))
        )
        if self.complete:
            made = tuple([self._numbers[part] if written else self._made(part) for part in results])
            form = type(result) if isinstance(result, list | tuple) else None
            lies = tuple(zip(fields, [where for _, where in call.inputs], strict=True))
            self.steps.append(Step(call.func, given, made, form, written, size_rule(call, after), lies))

    def constant(self, func: Any, args: Any, kwargs: Any) -> None:
        """Take down an operation that does not depend on the image."""
        self.complete &= not _writes(func)
        self.steps.append(Step(func, self.spelled((args, tuple(kwargs.items())))))

    def module(self, name: str, inputs: Any, output: Any) -> None:
        """Take down a module that has just returned."""
        self.modules.append((name, self.spelled(inputs), self.spelled(output)))

    def spelled(self, value: Any) -> Any:
        return spelled(value, self.number)

    def _plainly_written(self, call: Call, results: list[Any]) -> bool:
        """Whether it writes into the whole of its first argument, which depends on the image, and gives that back."""
        into = call.args[0]
        return len(results) == 1 and results[0] is into and into._base is None and self.number(into) is not None

    def _made(self, tensor: Tensor) -> int:
        number = self._numbers[tensor] = len(self.kinds)
        self.kinds.append(Kind(tuple(tensor.shape), tensor.dtype, tensor.device, channels_last(tensor)))
        return number


def channels_last(tensor: Tensor) -> bool:
    """Whether the channels of a map (n, c, h, w) lie last in memory."""
    return not tensor.is_contiguous() and tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def _of_tensors(call: Call, results: Iterable[Any]) -> bool:
    """Whether it gives tensors, of shapes that do not depend on values."""
    return not _by_value(call.func) and all(isinstance(part, Tensor) for part in results)


@lru_cache(maxsize=1024)
def _writes(func: Any) -> bool:
    """Whether an operation writes into what it is given."""
    return bool(func._schema.is_mutable)


@lru_cache(maxsize=1024)
def _by_value(func: Any) -> bool:
    """Whether the shapes of its results depend on values."""
    return not {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}.isdisjoint(func.tags)


@contextmanager
def module_hooks(names: Mapping[nn.Module, str], note: Note) -> Iterator[None]:
    """`note(name, inputs, output)` after each call of a module."""
    hooks = [
        module.register_forward_hook(lambda _, inputs, output, name=name: note(name, inputs, output))
        for module, name in names.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def spelled(value: Any, number: Callable[[Tensor], int | None]) -> Any:
    """Arguments and results with "#1" in place of a tensor that has a number, and the shape of any other."""
    if type(value) in _LITERAL:
        return value
    if isinstance(value, Tensor):
        known = number(value)
        return (tuple(value.shape), value.dtype) if known is None else f"#{known}"
    if isinstance(value, list | tuple):
        parts = [part if type(part) in _LITERAL else spelled(part, number) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, Mapping):
        return tuple([(key, spelled(part, number)) for key, part in value.items()])
    return (type(value), spelled(tensor_parts(value), number))


_LITERAL = {int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format}

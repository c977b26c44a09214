"""The operations of a forward pass in order, with what those that depend on the image gave; and giving it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map
from torch.utils.weak import TensorWeakRef

from foveal.engine.model_errors import out_of_memory


class Refused(RuntimeError):
    """The recorded forward and another one do not take the same way."""


class _Noted:
    """A result that may be gone when it is asked for."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = TensorWeakRef(tensor)
        self.blank, self.shape = tensor.new_empty(()), tensor.shape


@dataclass(frozen=True)
class Op:
    """One operation of the recorded forward, and what stands for it later.

    Attributes:
        operation: as a function mode meets it.
        result: tensors whose first dimension is the image's, to be given back k times; None where there are none.
        argument: the number of the argument that it wrote into and gave back; its recorded value is the last one.
        computed: whether it has to be computed again.
    """

    operation: Any
    result: Any = None
    argument: int | None = None
    computed: bool = False


class Record(TorchFunctionMode):
    """Takes down what is done with `n` images from the `start`, where they go in, to the `finish`.

    It keeps what the network itself still holds by then, and what has to be computed again is computed from. What the
    network has dropped cannot be asked for later: of that only the shape is kept.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.steps: list[Op] = []
        self.n = n
        self.inputs: Any = None
        self._on = False
        self._touched: dict[int, TensorWeakRef] = {}
        self._given: dict[int, TensorWeakRef] = {}
        self._needed: list[Tensor] = []
        self._kept: list[tuple[Tensor, int]] = []

    def start(self, inputs: Any) -> None:
        """Also after a forward that broke off: only what follows counts."""
        self.steps, self._touched, self._given, self._needed = [], {}, {}, []
        self._note(_tensors(inputs), given=True)
        self.inputs, self._on = inputs, True

    def finish(self) -> None:
        self._on = False
        self.steps = [replace(step, result=tree_map(_kept, step.result)) for step in self.steps]
        self._kept = [(tensor, tensor._version) for step in self.steps for tensor in _tensors(step.result)]
        self._kept += [(tensor, tensor._version) for tensor in _tensors(self.inputs)]
        self._touched, self._given, self._needed = {}, {}, []

    @property
    def finished(self) -> bool:
        return bool(self._kept)

    @property
    def intact(self) -> bool:
        """Whether nothing since the finish wrote into what was recorded."""
        return all(tensor._version == version for tensor, version in self._kept)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self._on or func is torch._C._set_grad_enabled:
            return func(*args, **kwargs)
        inputs = _tensors((args, kwargs))
        before = [tensor._version for tensor in inputs]
        result = func(*args, **kwargs)
        written = [tensor for tensor, version in zip(inputs, before, strict=True) if tensor._version != version]
        self.steps.append(self._step(func, args, inputs, written, result))
        return result

    def _step(self, func: Any, args: Any, inputs: list[Tensor], written: list[Tensor], result: Any) -> Op:
        if not any(_among(self._touched, tensor) for tensor in inputs):
            return Op(func, computed=True)  # of parameters and shapes only
        results = _tensors(result)
        self._note([*results, *written])
        if written and all(_among(self._given, tensor) for tensor in written):
            place = next((i for i, value in enumerate(args) if value is result), None)
            if place is not None or result is None:
                return Op(func, argument=place)
        elif not written and results and all(_of(tensor, self.n) for tensor in results):
            self._note(results, given=True)
            return Op(func, tree_map(_noted, result))
        if not about_shape(func):
            self._needed += inputs
        return Op(func, computed=True)

    def _note(self, tensors: list[Tensor], *, given: bool = False) -> None:
        for tensor in tensors:
            self._touched[id(tensor)] = TensorWeakRef(tensor)
            if given and _of(tensor, self.n):
                self._given[id(tensor)] = self._touched[id(tensor)]


class Replay(TorchFunctionMode):
    """Gives one image's recorded results back `k` times instead of computing them, from the `start` to the `finish`."""

    def __init__(self, record: Record, image: int, k: int) -> None:
        super().__init__()
        self._record, self._image, self._k = record, image, k
        self._on = False
        self._steps = iter(record.steps)

    def start(self, inputs: Any) -> Any:
        """What the network is to be given: its recorded inputs, as far as they are the image's."""
        n = self._record.n
        self._steps = iter(self._record.steps)
        inputs = tree_map(lambda now, then: self._seen(then) if _of(then, n) else now, inputs, self._record.inputs)
        self._on = True
        return inputs

    def finish(self) -> None:
        self._on = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Whether gradients are on is no result: a forward that breaks off must still leave its blocks.
        if not self._on or func is torch._C._set_grad_enabled:
            return _compute(func, args, kwargs or {})
        step = next(self._steps, None)
        if step is None or step.operation != func:
            raise Refused("its forward runs other operations for several images at once")
        if step.computed:
            return _compute(func, args, kwargs or {})
        if step.argument is not None:
            return args[step.argument]
        if isinstance(step.result, Tensor):
            return self._seen(step.result)
        return tree_map(lambda value: self._seen(value) if isinstance(value, Tensor) else value, step.result)

    def _seen(self, tensor: Tensor) -> Tensor:
        own = tensor if len(tensor) == 1 else tensor[self._image : self._image + 1]
        if self._k > 1 or not any(own.stride()):  # nobody writes into what is seen many times, or has no memory
            return seen(own, self._k)
        return own.clone()


def seen(tensor: Tensor, k: int) -> Tensor:
    """The one image's result as that of k images, without a copy."""
    return tensor.expand(k, *tensor.shape[1:])


def _compute(func: Any, args: Any, kwargs: Any) -> Any:
    try:
        return func(*args, **kwargs)
    except RuntimeError as error:
        # What is seen k times cannot be written into, nor be given every shape: such an operation gets its own copy.
        own = {id(tensor): tensor.clone() for tensor in _tensors((args, kwargs)) if is_seen(tensor)}
        if not own or out_of_memory(error):
            raise
        args, kwargs = tree_map(lambda value: own.get(id(value), value), (args, kwargs))
        return func(*args, **kwargs)


def _of(value: Any, n: int) -> bool:
    """Whether this is a tensor whose first dimension may be that of the images."""
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == n


def _among(known: dict[int, TensorWeakRef], tensor: Tensor) -> bool:
    """Whether it is known; the number of a tensor that is gone may be another's by now."""
    return id(tensor) in known and known[id(tensor)]() is tensor


def _noted(value: Any) -> Any:
    return _Noted(value) if isinstance(value, Tensor) else value


def _kept(value: Any) -> Any:
    """What is still there, or something of its shape."""
    if not isinstance(value, _Noted):
        return value
    tensor = value.tensor()
    return value.blank.expand(value.shape) if tensor is None else tensor


def about_shape(func: Any) -> bool:
    """Whether an operation asks for no numbers."""
    name = getattr(func, "__name__", "")
    return (getattr(func.__self__, "__name__", "") if name == "__get__" else name) in _SHAPE


_SHAPE = {"shape", "ndim", "size", "dim", "numel", "__len__", "dtype", "device", "layout", "is_cuda"}


def is_seen(tensor: Tensor) -> bool:
    """Whether this is one image's as that of several; nobody can write into it."""
    return tensor.ndim > 0 and len(tensor) > 1 and tensor.stride(0) == 0


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, tuple | list):
        return []
    return [tensor for value in values for tensor in _tensors(value)]

"""Which input pixels a feature can see: stride and receptive field, followed operation by operation.

A dispatch mode watches one forward below autograd, so functional calls, reused modules and in-place operations
are seen like everything else. Each tensor carries a `Field`; convolution and pooling enlarge it
(r ← r + (k−1)·d·j, j ← j·s), everything element-wise passes it on, and a reduction over space
(squeeze-excite, global normalization, attention) marks what depends on it as no longer local. Where the cells lie is
followed beside it, see `engine.positions`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from foveal.engine.positions import PositionTracker, Where, tensors_in
from foveal.engine.run_log import RunLog
from foveal.engine.tensor_map import TensorMap
from foveal.engine.unwatched import looking

Sides = tuple[float, ...]
"""A number for each axis of space: (y, x) of images."""


@dataclass(frozen=True)
class Field:
    """How one feature relates to input pixels, per axis of space: (y, x) of images.

    Attributes:
        size: side of the receptive field in input pixels, before clipping to the image.
        stride: input pixels from one cell to the next.
        local: False when anything on the way looked at the whole image at once.
        depth: convolutions and matrix products on the longest way from the input.
    """

    size: Sides = (1.0, 1.0)
    stride: Sides = (1.0, 1.0)
    local: bool = True
    depth: int = 0

    def window(self, kernel: Sides, step: Sides, dilation: Sides = (1,)) -> Field:
        """The field of windows over this; what says nothing of the first axes leaves them as they are."""
        axes = len(self.size)
        k, s, d = (_sides(value, axes) for value in (kernel, step, dilation))
        r, j = self.size, self.stride
        return replace(
            self,
            size=tuple(r[i] + (k[i] - 1) * d[i] * j[i] for i in range(axes)),
            stride=tuple(j[i] * s[i] for i in range(axes)),
        )


class FieldTracker(TorchDispatchMode):
    """Follows `Field`s from an input tensor through everything computed while the mode is active.

    Attributes:
        log: what ran.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: else torch imports its compiler to leave this mode out of it, though models run uncompiled here.

        That import takes a second and moves Python's random state and warning filters.
        """
        return False

    def __init__(self, source: Tensor) -> None:
        super().__init__()
        self._fields: TensorMap[Field] = TensorMap()
        self._axes = max(1, source.ndim - 2)
        self._fields[source] = Field((1.0,) * self._axes, (1.0,) * self._axes)
        self._positions = PositionTracker(source)
        self._asleep = False
        self.log = RunLog(source)

    def field(self, tensor: Tensor) -> Field | None:
        return self._fields.get(tensor)

    def where(self, tensor: Tensor) -> Where | None:
        """Where its elements lie on the input."""
        return self._positions.where(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self._asleep:
            with looking():  # whoever watches the forward need not watch this
                self.follow(func, args, kwargs or {}, result)
        return result

    def put(self, tensor: Tensor, field: Field, where: Where) -> None:
        """Say where a tensor lies that was computed elsewhere."""
        self._fields[tensor] = field
        self._positions.put(tensor, where)

    def follow(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """What an operation that has just run made of what it was given."""
        given = tensors_in((*args, *kwargs.values()) if kwargs else args)
        inputs = [tensor for tensor in given if tensor in self._fields]
        if not inputs:
            self.log.constant(func, args, kwargs)
            return
        fields = [self._fields[tensor] for tensor in inputs]
        outputs = tensors_in(result if isinstance(result, list | tuple) else (result,))
        for output in outputs:
            self._fields[output] = self._after(func, args, inputs, output)
            if output._base is not None and any(output is tensor for tensor in given):  # written into part of another
                self._fields.setdefault(output._base, self._fields[output])
        call = self._positions.follow(func, args, kwargs, given, outputs)
        self.log.operation(call, result, fields, map(self.where, outputs))

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """What is computed here is nobody's business."""
        self._asleep = True
        try:
            yield
        finally:
            self._asleep = False

    def _after(self, func: Any, args: Any, inputs: list[Tensor], output: Tensor) -> Field:
        field = self._merged(inputs)
        name = func.overloadpacket.__name__
        if name == "convolution":
            weight, transposed = args[1], args[6]
            kernel, step, dilation = (_each(value, weight.ndim - 2) for value in (weight.shape[2:], args[3], args[5]))
            field = replace(field, depth=field.depth + 1)
            if transposed:
                return field.window(_met(kernel, step), tuple(1 / s for s in step))
            return field.window(kernel, step, dilation)
        if name in _PRODUCTS:
            field = replace(field, depth=field.depth + 1)
        if name in _POOLS:
            kernel = args[1]
            step = args[2] if len(args) > 2 and args[2] else kernel
            dilation = args[4] if name.startswith("max") and len(args) > 4 else (1,)
            return field.window(*(_each(value, _POOLS[name]) for value in (kernel, step, dilation)))
        if name in _MIXERS or (name == "native_batch_norm" and args[5]):
            return replace(field, local=False)
        before = max(inputs, key=Tensor.numel)
        if self._reduced(output) and not self._reduced(before) and output.numel() < before.numel():
            return replace(field, local=False)
        if before.ndim != output.ndim or before.ndim not in (4, self._axes + 2):
            return field
        if name in _RESIZERS:
            return _resized(field, before, output)
        if name in ("pixel_shuffle", "pixel_unshuffle"):
            step = args[1] if name == "pixel_unshuffle" else 1 / args[1]
            return field.window((max(1, step),) * 2, (step, step))
        if name == "slice" and len(args) > 4 and args[4] > 1 and args[1] % before.ndim > 1:  # every second row, say
            steps = tuple(args[4] if dim == args[1] % before.ndim else 1 for dim in range(2, before.ndim))
            return field.window((1,), steps)
        return field

    def _merged(self, operands: list[Tensor]) -> Field:
        """The field of an element-wise result: the widest of its operands that still have cells of their own."""
        fields = [self._fields[tensor] for tensor in operands]
        if len(fields) == 1:
            return fields[0]
        spatial = [self._fields[tensor] for tensor in operands if not self._reduced(tensor)] or fields
        return Field(
            size=tuple(map(max, zip(*(f.size for f in spatial), strict=True))),
            stride=tuple(map(max, zip(*(f.stride for f in spatial), strict=True))),
            local=all(field.local for field in fields),
            depth=max(field.depth for field in fields),
        )

    def _reduced(self, tensor: Tensor) -> bool:
        """Whether a tensor of this shape can have no cells of its own: (n, c), (n, c, 1, 1), scalars.

        Pooling of signals is that of images one pixel high, so these may have four axes, too.
        """
        if tensor.ndim not in (4, self._axes + 2):
            return tensor.ndim < 3
        sides = {*tensor.shape[2:]}, {*tensor.shape[1:-1]} if tensor.ndim > 3 else set()
        return {1} in sides


_POOLS = {
    "avg_pool1d": 1, "max_pool2d_with_indices": 2, "max_pool2d": 2, "avg_pool2d": 2,
    "max_pool3d_with_indices": 3, "max_pool3d": 3, "avg_pool3d": 3,
}  # fmt: skip
"""Over how many axes."""
_PRODUCTS = {"mm", "addmm", "bmm"}  # convolutions by 1×1 in channels-last networks, and attention
_MIXERS = {
    "bmm", "baddbmm", "native_group_norm", "var_mean",
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_attention_math",
}  # fmt: skip


_RESIZERS = {
    "_adaptive_avg_pool2d", "adaptive_max_pool2d", "fractional_max_pool2d",
    "_adaptive_avg_pool3d", "adaptive_max_pool3d", "fractional_max_pool3d",
} | {
    f"{prefix}upsample_{kind}"
    for prefix in ("", "_")
    for kind in (
        "nearest2d", "nearest_exact2d", "bilinear2d", "bicubic2d", "bilinear2d_aa", "bicubic2d_aa",
        "nearest1d", "nearest_exact1d", "linear1d", "nearest3d", "nearest_exact3d", "trilinear3d",
    )
}  # fmt: skip


def _met(kernel: Sides, step: Sides) -> Sides:
    """How many cells of its input one cell of a transposed convolution meets."""
    return tuple(math.ceil(k / s) for k, s in zip(kernel, step, strict=True))


def _resized(field: Field, before: Tensor, after: Tensor) -> Field:
    """Pooling to a given size and interpolation: read off the shapes."""
    ratio = tuple(b / a for b, a in zip(before.shape[2:], after.shape[2:], strict=True))
    return field.window(tuple(max(1, math.ceil(r)) for r in ratio), ratio)


def _each(value: float | Iterable[float], axes: int) -> Sides:
    """A number for each axis of an operation, of what torch takes as one for all."""
    values = tuple(value) if isinstance(value, Iterable) else (value,)
    return values * axes if len(values) == 1 else values


def _sides(values: Sides, axes: int) -> Sides:
    """The last axes of space are what an operation over fewer or more of them goes along."""
    if len(values) == 1:
        return values * axes
    return (1,) * (axes - len(values)) + values[-axes:]

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

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from foveal.engine.positions import PositionTracker, Where, tensors_in
from foveal.engine.run_log import RunLog

Pair = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """How one feature relates to input pixels, per axis (y, x).

    Attributes:
        size: side of the receptive field in input pixels, before clipping to the image.
        stride: input pixels from one cell to the next.
        local: False when anything on the way looked at the whole image at once.
        depth: convolutions and matrix products on the longest way from the input.
    """

    size: Pair = (1.0, 1.0)
    stride: Pair = (1.0, 1.0)
    local: bool = True
    depth: int = 0

    def window(self, kernel: Pair, step: Pair, dilation: Pair = (1, 1)) -> Field:
        (ry, rx), (jy, jx), (ky, kx), (dy, dx) = self.size, self.stride, kernel, dilation
        return replace(
            self,
            size=(ry + (ky - 1) * dy * jy, rx + (kx - 1) * dx * jx),
            stride=(jy * step[0], jx * step[1]),
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
        self._fields: Any = WeakTensorKeyDictionary()
        self._fields[source] = Field()
        self._positions = PositionTracker(source)
        self._asleep = False
        self.log = RunLog(source)

    def field(self, tensor: Tensor) -> Field | None:
        reach: Field | None = self._fields.get(tensor)
        return reach

    def where(self, tensor: Tensor) -> Where | None:
        """Where its elements lie on the input."""
        return self._positions.where(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self._asleep:
            with torch._C.DisableTorchFunction():  # whoever watches the forward need not watch this
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
        field = _merge([(self._fields[tensor], tensor) for tensor in inputs])
        name = func.overloadpacket.__name__
        if name == "convolution":
            weight, step, dilation, transposed = args[1], _pair(args[3]), _pair(args[5]), args[6]
            kernel = _pair(weight.shape[2:])
            field = replace(field, depth=field.depth + 1)
            if transposed:
                return field.window(_met(kernel, step), (1 / step[0], 1 / step[1]))
            return field.window(kernel, step, dilation)
        if name in _PRODUCTS:
            field = replace(field, depth=field.depth + 1)
        if name in _POOLS:
            kernel = args[1]
            step = args[2] if len(args) > 2 and args[2] else kernel
            dilation = args[4] if name.startswith("max") and len(args) > 4 else (1, 1)
            return field.window(_pair(kernel), _pair(step), _pair(dilation))
        if name in _MIXERS or (name == "native_batch_norm" and args[5]):
            return replace(field, local=False)
        before = max(inputs, key=Tensor.numel)
        if _reduced(output) and not _reduced(before) and output.numel() < before.numel():
            return replace(field, local=False)
        if before.ndim != 4 or output.ndim != 4:
            return field
        if name in _RESIZERS:
            return _resized(field, before, output)
        if name in ("pixel_shuffle", "pixel_unshuffle"):
            step = args[1] if name == "pixel_unshuffle" else 1 / args[1]
            return field.window((max(1, step),) * 2, (step, step))
        if name == "slice" and len(args) > 4 and args[4] > 1 and args[1] % 4 > 1:  # every second row, say
            return field.window((1, 1), (args[4], 1) if args[1] % 4 == 2 else (1, args[4]))
        return field


_POOLS = {"max_pool2d_with_indices", "max_pool2d", "avg_pool2d"}
_PRODUCTS = {"mm", "addmm", "bmm"}  # convolutions by 1×1 in channels-last networks, and attention
_MIXERS = {
    "bmm", "baddbmm", "native_group_norm", "var_mean",
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_attention_math",
}  # fmt: skip


def _merge(operands: list[tuple[Field, Tensor]]) -> Field:
    """The field of an element-wise result: the widest of its operands that still have cells of their own."""
    spatial = [field for field, tensor in operands if not _reduced(tensor)] or [field for field, _ in operands]
    return Field(
        size=(max(f.size[0] for f in spatial), max(f.size[1] for f in spatial)),
        stride=(max(f.stride[0] for f in spatial), max(f.stride[1] for f in spatial)),
        local=all(field.local for field, _ in operands),
        depth=max(field.depth for field, _ in operands),
    )


_RESIZERS = {"_adaptive_avg_pool2d", "adaptive_max_pool2d", "fractional_max_pool2d"} | {
    f"{prefix}upsample_{kind}"
    for prefix in ("", "_")
    for kind in ("nearest2d", "nearest_exact2d", "bilinear2d", "bicubic2d", "bilinear2d_aa", "bicubic2d_aa")
}


def _met(kernel: Pair, step: Pair) -> Pair:
    """How many cells of its input one cell of a transposed convolution meets."""
    return math.ceil(kernel[0] / step[0]), math.ceil(kernel[1] / step[1])


def _resized(field: Field, before: Tensor, after: Tensor) -> Field:
    """Pooling to a given size and interpolation: read off the shapes."""
    ratio = [b / a for b, a in zip(before.shape[2:], after.shape[2:], strict=True)]
    return field.window((max(1, math.ceil(ratio[0])), max(1, math.ceil(ratio[1]))), _pair(ratio))


def _reduced(tensor: Tensor) -> bool:
    """Whether a tensor of this shape can have no cells of its own: (n, c), (n, c, 1, 1), scalars."""
    return tensor.ndim < 3 or (tensor.ndim == 4 and (tensor.shape[2:] == (1, 1) or tensor.shape[1:3] == (1, 1)))


def _pair(value: float | Iterable[float]) -> Pair:
    values = tuple(value) if isinstance(value, Iterable) else (value,)
    return (values[0], values[-1])

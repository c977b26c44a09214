"""Forwards in bfloat16: for scores that may be rounded, on a device that multiplies such numbers faster.

Weights stay as they are. `torch.autocast` rounds them, and what convolutions and matrix products take, with each
forward; images lie channels last, as such convolutions are fastest. The first convolution sees the image itself and
stays in float32: it is cheap, and its rounding would be half of the error of a ResNet-50.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

Precision: TypeAlias = Literal["float32", "bfloat16", "auto"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "auto")

CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d}


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has units for bfloat16, as far as torch says."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    units = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(bool(getattr(torch.cpu, unit, bool)()) for unit in units)


def in_single(model: nn.Module, x: Tensor) -> bool:
    """Whether the network, all that it is given and the caller compute in float32."""
    kinds = {tensor.dtype for tensor in (x, *model.parameters(), *model.buffers()) if tensor.is_floating_point()}
    return kinds == {torch.float32} and not torch.is_autocast_enabled(x.device.type)


@contextmanager
def bfloat16(device: torch.device) -> Iterator[None]:
    """One forward in here is in bfloat16, from its second convolution on."""
    with torch.autocast(device.type, torch.bfloat16), _FirstConvolution(device.type):
        yield


def channels_last(x: Tensor) -> Tensor:
    """The same images, with the channels of a pixel side by side in memory."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def single(value: Any) -> Any:
    """The same with its tensors of bfloat16 in float32."""
    return tree_map(lambda leaf: leaf.float() if _is_rounded(leaf) else leaf, value)


def _is_rounded(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.dtype == torch.bfloat16


class _FirstConvolution(TorchFunctionMode):
    """Leaves the first convolution of a forward in float32."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device, self._met = device, False

    def __torch_function__(self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None) -> Any:
        if self._met or func not in CONVOLUTIONS:
            return func(*args, **(kwargs or {}))
        self._met = True
        with torch.autocast(self._device, enabled=False):
            return func(*args, **(kwargs or {}))

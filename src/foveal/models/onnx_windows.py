"""Convolutions, pooling and padding of ONNX as modules of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from foveal.models.onnx_node import Function, Made, OnnxNode, Unconvertible

CONVOLUTIONS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TURNED: dict[int, type[nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
LARGEST: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
MEAN: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}


def convolution(node: OnnxNode) -> Made:
    """Conv: its weights in a layer of torch, its padding too where it is even."""
    weight, bias = node.weight(1), node.constant(2)
    axes, groups = weight.ndim - 2, node.get("group", 1)
    ahead, padding = _padding(node, weight.shape[2:])
    layer = CONVOLUTIONS[axes](
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), stride=_each(node, "strides", axes),
        padding=padding, dilation=_each(node, "dilations", axes), groups=groups, bias=bias is not None,
    )  # fmt: skip
    return _after(ahead, filled(layer, weight, bias)), (0,)


def turned(node: OnnxNode) -> Made:
    """ConvTranspose, where its padding is even."""
    weight, bias, pads = node.weight(1), node.constant(2), node.get("pads")
    axes, groups = weight.ndim - 2, node.get("group", 1)
    if node.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attributes or not _even(pads, axes):
        raise Unconvertible("ConvTranspose with uneven padding")
    layer = TURNED[axes](
        weight.shape[0], weight.shape[1] * groups, tuple(weight.shape[2:]), stride=_each(node, "strides", axes),
        padding=tuple(pads[:axes]) if pads else 0, output_padding=_each(node, "output_padding", axes, 0),
        groups=groups, bias=bias is not None, dilation=_each(node, "dilations", axes),
    )  # fmt: skip
    return filled(layer, weight, bias), (0,)


def filled(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """The layer with these weights in place of its own."""
    layer.weight = nn.Parameter(weight)
    if bias is not None:
        layer.bias = nn.Parameter(bias)
    return layer


def max_pool(node: OnnxNode) -> Made:
    """MaxPool: cells of padding are below all others."""
    kernel = node.attributes["kernel_shape"]
    axes, up = len(kernel), bool(node.get("ceil_mode", 0))
    ahead, padding = _padding(node, kernel, float("-inf"))
    if node.get("storage_order", 0):
        raise Unconvertible("MaxPool in column order")
    return _after(
        ahead,
        LARGEST[axes](
            tuple(kernel), _each(node, "strides", axes), padding, _each(node, "dilations", axes), ceil_mode=up
        ),
    ), None


def average_pool(node: OnnxNode) -> Made:
    """AveragePool: cells of padding count or not, as the node says."""
    kernel = node.attributes["kernel_shape"]
    axes, counts, up = len(kernel), bool(node.get("count_include_pad", 0)), bool(node.get("ceil_mode", 0))
    ahead, padding = _padding(node, kernel)
    if (ahead and not counts) or max(_each(node, "dilations", axes)) > 1:
        raise Unconvertible("AveragePool with uneven padding or dilation")
    settings = {"ceil_mode": up, "count_include_pad": counts}
    return _after(ahead, MEAN[axes](tuple(kernel), _each(node, "strides", axes), padding, **settings)), None


def _padding(node: OnnxNode, kernel: Any, fill: float = 0.0) -> tuple[nn.Module | None, tuple[int, ...]]:
    """The padding of a sliding window: a layer ahead of it where it is uneven."""
    axes, auto, pads = len(kernel), node.get("auto_pad", "NOTSET"), node.get("pads")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        stride, dilation = _each(node, "strides", axes), _each(node, "dilations", axes)
        return Function("Pad", _same(tuple(kernel), stride, dilation, lower=auto == "SAME_LOWER", fill=fill)), (
            0,
        ) * axes
    if not pads or auto == "VALID":
        return None, (0,) * axes
    if _even(pads, axes) and all(p <= k // 2 or fill == 0 for p, k in zip(pads, kernel, strict=False)):
        return None, tuple(pads[:axes])
    return Function("Pad", _padded(_pairs(pads), "constant", fill)), (0,) * axes


def _same(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], *, lower: bool, fill: float
) -> Callable[[Tensor], Tensor]:
    """Padding as TensorFlow has it: as many cells come out as there are strides in the side."""

    def pad(x: Tensor) -> Tensor:
        pairs: list[int] = []
        for side, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
            total = max(0, (-(-side // s) - 1) * s + (k - 1) * d + 1 - side)
            few, many = total // 2, total - total // 2
            pairs = [*((many, few) if lower else (few, many)), *pairs]
        return F.pad(x, pairs, value=fill)

    return pad


def _padded(pairs: list[int], mode: str, value: float) -> Callable[[Tensor], Tensor]:
    return lambda x: F.pad(x, pairs, mode, value) if mode == "constant" else F.pad(x, pairs, mode)


def _pairs(pads: Any) -> list[int]:
    """(begin, end) of the last axis first, as torch has them."""
    half = len(pads) // 2
    return [int(pad) for axis in reversed(range(half)) for pad in (pads[axis], pads[axis + half])]


def _even(pads: Any, axes: int) -> bool:
    return not pads or list(pads[:axes]) == list(pads[axes:])


def _each(node: OnnxNode, name: str, axes: int, default: int = 1) -> tuple[int, ...]:
    return tuple(node.get(name) or [default] * axes)


def _after(ahead: nn.Module | None, layer: nn.Module) -> nn.Module:
    return layer if ahead is None else nn.Sequential(ahead, layer)


def pad(node: OnnxNode) -> Made:
    """Pad by constants, edges, mirror images or the other end."""
    pads = node.get("pads")
    pads = node.weight(1).tolist() if pads is None else pads
    value, axes = node.get("value", 0.0), node.constant(3)
    if (given := node.constant(2)) is not None:
        value = float(given)
    if axes is not None:
        raise Unconvertible("Pad of chosen axes")
    mode = {"edge": "replicate", "wrap": "circular"}.get(kind := node.get("mode", "constant"), kind)
    pairs = _pairs(pads)
    if mode != "constant":
        while pairs[-2:] == [0, 0]:
            pairs = pairs[:-2]
    return Function("Pad", _padded(pairs, mode, value)), (0,)

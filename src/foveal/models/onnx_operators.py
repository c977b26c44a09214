"""Operators of ONNX as modules of torch: those of convolutional networks, at inference.

Each maker takes the node's attributes and its constant inputs, and returns the module and which inputs it is called
with. Where torch has the layer, it is the layer (`nn.Conv2d`); otherwise it is a function with a name (`Function`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Unconvertible(Exception):
    """What torch has no counterpart for here; its text says what."""


@dataclass(frozen=True)
class OnnxNode:
    """One operation: its attributes, and the values of those of its inputs that are constant (None for others)."""

    kind: str
    attributes: Mapping[str, Any]
    constants: tuple[Tensor | None, ...]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def constant(self, place: int) -> Tensor | None:
        """An input that is constant; None where it is left out.

        Raises:
            Unconvertible: where it is computed.
        """
        return self.constants[place] if place < len(self.constants) else None

    def weight(self, place: int) -> Tensor:
        """A constant that must be there."""
        value = self.constant(place)
        if value is None:
            raise Unconvertible(f"{self.kind} with weights that are computed")
        return value


class Function(nn.Module):
    """A function as a layer, so that it can be named and observed."""

    def __init__(self, kind: str, function: Callable[..., Any]) -> None:
        super().__init__()
        self.kind, self.function = kind, function

    def forward(self, *inputs: Any) -> Any:
        """Whatever the function gives."""
        return self.function(*inputs)

    def extra_repr(self) -> str:
        """The operator."""
        return self.kind


Made: TypeAlias = "tuple[nn.Module, tuple[int, ...] | None]"
"""The module, and the places of the inputs that it is called with; None for all."""


def converted(node: OnnxNode) -> Made:
    """The module of one operation.

    Raises:
        Unconvertible: for an operator, or a use of one, that is not among those here.
    """
    maker = MAKERS.get(node.kind)
    if maker is None:
        raise Unconvertible(f"the operator {node.kind}")
    made = maker(node)
    return made if isinstance(made, tuple) else (made, None)


CONVOLUTIONS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TURNED: dict[int, type[nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
LARGEST: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
MEAN: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def _convolution(node: OnnxNode) -> Made:
    weight, bias = node.weight(1), node.constant(2)
    axes, groups = weight.ndim - 2, node.get("group", 1)
    ahead, padding = _padding(node, weight.shape[2:])
    layer = CONVOLUTIONS[axes](
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), stride=_each(node, "strides", axes),
        padding=padding, dilation=_each(node, "dilations", axes), groups=groups, bias=bias is not None,
    )  # fmt: skip
    return _after(ahead, _filled(layer, weight, bias)), (0,)


def _turned(node: OnnxNode) -> Made:
    weight, bias, pads = node.weight(1), node.constant(2), node.get("pads")
    axes, groups = weight.ndim - 2, node.get("group", 1)
    if node.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attributes or not _even(pads, axes):
        raise Unconvertible("ConvTranspose with uneven padding")
    layer = TURNED[axes](
        weight.shape[0], weight.shape[1] * groups, tuple(weight.shape[2:]), stride=_each(node, "strides", axes),
        padding=tuple(pads[:axes]) if pads else 0, output_padding=_each(node, "output_padding", axes, 0),
        groups=groups, bias=bias is not None, dilation=_each(node, "dilations", axes),
    )  # fmt: skip
    return _filled(layer, weight, bias), (0,)


def _filled(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    layer.weight = nn.Parameter(weight)
    if bias is not None:
        layer.bias = nn.Parameter(bias)
    return layer


def _dense(node: OnnxNode) -> Made:
    """x W + b; of two computed matrices, a product."""
    if node.constants[1] is None or node.constants[1].ndim != 2:
        if node.kind == "MatMul":
            return Function("MatMul", torch.matmul), None
        raise Unconvertible("Gemm with weights that are computed")
    gemm = node.kind == "Gemm"
    weight, bias = node.weight(1), node.constant(2) if gemm else None
    if gemm and node.get("transA", 0):
        raise Unconvertible("Gemm of a transposed input")
    weight = node.get("alpha", 1.0) * (weight if gemm and node.get("transB", 0) else weight.T)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    bias = None if bias is None else (node.get("beta", 1.0) * bias).reshape(-1).expand(len(weight)).clone()
    return _filled(layer, weight.contiguous(), bias), (0,)


class _FittingNorm(nn.BatchNorm2d):
    """Of inputs of any number of axes."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


def _batch_norm(node: OnnxNode) -> Made:
    scale, shift, mean, variance = (node.weight(place) for place in (1, 2, 3, 4))
    if node.get("training_mode", 0):
        raise Unconvertible("BatchNormalization in training mode")
    layer = _FittingNorm(len(scale), eps=node.get("epsilon", 1e-5))
    _filled(layer, scale, shift)
    layer.running_mean, layer.running_var = mean.clone(), variance.clone()
    return layer, (0,)


def _max_pool(node: OnnxNode) -> Made:
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


def _average_pool(node: OnnxNode) -> Made:
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


def _pad(node: OnnxNode) -> Made:
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


def _reduced(reduction: Callable[..., Tensor]) -> Callable[[OnnxNode], Made]:
    def maker(node: OnnxNode) -> Made:
        axes = node.get("axes")
        if axes is None and (given := node.constant(1)) is not None:
            axes = given.tolist()
        keep = bool(node.get("keepdims", 1))
        if axes is None and node.get("noop_with_empty_axes", 0):
            return nn.Identity(), (0,)
        return Function(
            node.kind, lambda x: reduction(x, dim=tuple(axes) if axes else tuple(range(x.ndim)), keepdim=keep)
        ), (0,)

    return maker


def _global(layers: Mapping[int, type[nn.Module]]) -> Callable[[OnnxNode], Made]:
    return lambda node: (layers[2](1), (0,))


def _clip(node: OnnxNode) -> Made:
    low, high = node.get("min"), node.get("max")
    low = float(node.weight(1)) if low is None and len(node.constants) > 1 and node.constants[1] is not None else low
    high = float(node.weight(2)) if high is None and len(node.constants) > 2 and node.constants[2] is not None else high
    if (low, high) == (0.0, 6.0):
        return nn.ReLU6(), (0,)
    return Function("Clip", lambda x: x.clamp(low, high)), (0,)


def _softmax(kind: type[nn.Module]) -> Callable[[OnnxNode], Made]:
    return lambda node: (kind(dim=node.get("axis", -1)), None)


def _prelu(node: OnnxNode) -> Made:
    slope = node.weight(1).reshape(-1)
    layer = nn.PReLU(len(slope))
    layer.weight = nn.Parameter(slope.clone())
    return layer, (0,)


def _gelu(node: OnnxNode) -> Made:
    return nn.GELU(approximate=node.get("approximate", "none")), None


def _layer_norm(node: OnnxNode) -> Made:
    scale, shift = node.weight(1), node.constant(2)
    if node.get("axis", -1) != -1:
        raise Unconvertible("LayerNormalization of several axes")
    layer = nn.LayerNorm(scale.shape[0], eps=node.get("epsilon", 1e-5), bias=shift is not None)
    return _filled(layer, scale, shift), (0,)


def _instance_norm(node: OnnxNode) -> Made:
    scale, shift, eps = node.weight(1), node.weight(2), node.get("epsilon", 1e-5)
    return Function("InstanceNormalization", lambda x: F.instance_norm(x, None, None, scale, shift, eps=eps)), (0,)


def _resize(node: OnnxNode) -> Made:
    mode, how = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    scales = node.constants[2] if len(node.constants) > 2 else node.constants[1]
    sizes = node.constants[3] if len(node.constants) > 3 else None
    known = {("nearest", "asymmetric"), ("linear", "half_pixel"), ("linear", "pytorch_half_pixel"),
             ("linear", "align_corners"), ("cubic", "half_pixel")}  # fmt: skip
    if (mode, how) not in known:
        raise Unconvertible(f"Resize by {mode} with {how}")
    names = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    corners = None if mode == "nearest" else how == "align_corners"
    given: dict[str, Any] | None = {"size": sizes[2:].tolist()} if sizes is not None and sizes.numel() else None
    if given is None and scales is not None and scales.numel():
        given = {"scale_factor": scales[2:].tolist()}
    if given is None:
        raise Unconvertible("Resize to a size that is computed")
    return Function("Resize", lambda x: F.interpolate(x, mode=names[mode], align_corners=corners, **given)), (0,)


def _reshape(node: OnnxNode) -> Made:
    keeps = not node.get("allowzero", 0)

    def reshape(x: Tensor, shape: Tensor) -> Tensor:
        sides = [int(side) for side in shape]
        return x.reshape([x.shape[i] if side == 0 and keeps else side for i, side in enumerate(sides)])

    return Function("Reshape", reshape), None


def _axes_of(node: OnnxNode) -> list[int] | None:
    axes = node.get("axes")
    given = node.constant(1) if axes is None else None
    return given.tolist() if given is not None else axes


def _squeeze(node: OnnxNode) -> Made:
    axes = _axes_of(node)
    return Function("Squeeze", lambda x: x.squeeze(tuple(axes)) if axes else x.squeeze()), (0,)


def _unsqueeze(node: OnnxNode) -> Made:
    axes = sorted(_axes_of(node) or ())
    return Function("Unsqueeze", lambda x: reduce(lambda y, axis: y.unsqueeze(axis), axes, x)), (0,)


def _flatten(node: OnnxNode) -> Made:
    axis = node.get("axis", 1)
    if axis == 1:
        return nn.Flatten(1), None
    raise Unconvertible(f"Flatten from axis {axis}")


def _concat(node: OnnxNode) -> Made:
    axis = node.attributes["axis"]
    return Function("Concat", lambda *parts: torch.cat(parts, axis)), None


def _split(node: OnnxNode) -> Made:
    axis, given = node.get("axis", 0), node.get("split")
    sizes = node.weight(1).tolist() if given is None and len(node.constants) > 1 else given
    count = node.get("num_outputs")
    if sizes:
        return Function("Split", lambda x: x.split(sizes, axis)), (0,)
    if count:
        return Function("Split", lambda x: x.split(-(-x.shape[axis] // count), axis)), (0,)
    raise Unconvertible("Split without sizes")


def _slice(node: OnnxNode) -> Made:
    starts, ends, axes = node.get("starts"), node.get("ends"), node.get("axes")
    if starts is not None:  # of old files
        return Function("Slice", lambda x: _cut(x, starts, ends, axes, None)), (0,)

    def cut(x: Tensor, *where: Tensor) -> Tensor:
        given = [[int(number) for number in each.reshape(-1)] for each in where]
        return _cut(x, *given, *[None] * (4 - len(given)))

    return Function("Slice", cut), None


def _cut(x: Tensor, starts: list[int], ends: list[int], axes: list[int] | None, steps: list[int] | None) -> Tensor:
    for axis, start, end, step in zip(
        axes or range(len(starts)), starts, ends, steps or [1] * len(starts), strict=True
    ):
        kept = range(x.shape[axis])[start:end:step]
        if step == 1:
            x = x.narrow(axis, kept.start, len(kept))
        else:
            x = x.index_select(axis, torch.tensor([*kept], device=x.device, dtype=torch.long))
    return x


def _gather(node: OnnxNode) -> Made:
    axis = node.get("axis", 0)

    def gather(x: Tensor, index: Tensor) -> Tensor:
        chosen = x.index_select(axis, index.reshape(-1).long() % x.shape[axis])
        at = axis % x.ndim
        return chosen.reshape([*x.shape[:at], *index.shape, *x.shape[at + 1 :]])

    return Function("Gather", gather), None


def _transpose(node: OnnxNode) -> Made:
    order = node.get("perm")
    return Function("Transpose", lambda x: x.permute(order or [*range(x.ndim)][::-1])), None


def _shape(node: OnnxNode) -> Made:
    start, end = node.get("start", 0), node.get("end")
    return Function("Shape", lambda x: torch.tensor(x.shape[start:end])), None


def _cast(node: OnnxNode) -> Made:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64}
    if (kind := kinds.get(node.attributes["to"])) is None:
        raise Unconvertible("Cast to a rare type")
    return Function("Cast", lambda x: x.to(kind)), (0,)


def _filling(node: OnnxNode) -> Made:
    value = node.get("value")
    value = torch.zeros(1) if value is None else value
    return Function("ConstantOfShape", lambda shape: value.expand(shape.tolist()).clone()), None


def _divided(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _plain(
    kind: str, function: Callable[..., Any], places: tuple[int, ...] | None = None
) -> Callable[[OnnxNode], Made]:
    return lambda node: (Function(kind, function), places)


def _layer(kind: Callable[..., nn.Module], **settings: tuple[str, float]) -> Callable[[OnnxNode], Made]:
    """A layer of torch whose parameters are attributes: name -> (attribute, default)."""
    return lambda node: (kind(**{name: node.get(*attribute) for name, attribute in settings.items()}), None)


def _hard_sigmoid(node: OnnxNode) -> Made:
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return nn.Hardsigmoid(), None
    return Function("HardSigmoid", lambda x: (alpha * x + beta).clamp(0, 1)), None


MAKERS: dict[str, Callable[[OnnxNode], Any]] = {
    "Conv": _convolution, "ConvTranspose": _turned, "Gemm": _dense, "MatMul": _dense,
    "BatchNormalization": _batch_norm, "LayerNormalization": _layer_norm, "InstanceNormalization": _instance_norm,
    "MaxPool": _max_pool, "AveragePool": _average_pool,
    "GlobalAveragePool": _global({2: nn.AdaptiveAvgPool2d}), "GlobalMaxPool": _global({2: nn.AdaptiveMaxPool2d}),
    "Relu": _layer(nn.ReLU), "Sigmoid": _layer(nn.Sigmoid), "Tanh": _layer(nn.Tanh), "HardSwish": _layer(nn.Hardswish),
    "HardSigmoid": _hard_sigmoid, "Gelu": _gelu, "PRelu": _prelu, "Softplus": _layer(nn.Softplus),
    "Mish": _layer(nn.Mish), "LeakyRelu": _layer(nn.LeakyReLU, negative_slope=("alpha", 0.01)),
    "Elu": _layer(nn.ELU, alpha=("alpha", 1.0)), "Selu": _layer(nn.SELU), "Clip": _clip,
    "Softmax": _softmax(nn.Softmax), "LogSoftmax": _softmax(nn.LogSoftmax),
    "Dropout": lambda node: (nn.Dropout(0.0), (0,)), "Identity": lambda node: (nn.Identity(), None),
    "LRN": lambda node: (
        nn.LocalResponseNorm(
            node.attributes["size"], node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
        ),
        None,
    ),
    "ReduceMean": _reduced(torch.mean), "ReduceSum": _reduced(torch.sum), "ReduceMax": _reduced(torch.amax),
    "ReduceMin": _reduced(torch.amin), "ReduceL2": _reduced(torch.linalg.vector_norm),
    "Add": _plain("Add", torch.add), "Sub": _plain("Sub", torch.sub), "Mul": _plain("Mul", torch.mul),
    "Div": _plain("Div", _divided), "Pow": _plain("Pow", torch.pow), "Sqrt": _plain("Sqrt", torch.sqrt),
    "Exp": _plain("Exp", torch.exp), "Log": _plain("Log", torch.log), "Neg": _plain("Neg", torch.neg),
    "Abs": _plain("Abs", torch.abs), "Erf": _plain("Erf", torch.erf), "Floor": _plain("Floor", torch.floor),
    "Reciprocal": _plain("Reciprocal", torch.reciprocal),
    "Max": _plain("Max", lambda *x: reduce(torch.maximum, x)),
    "Min": _plain("Min", lambda *x: reduce(torch.minimum, x)),
    "Sum": _plain("Sum", lambda *x: reduce(torch.add, x)),
    "Where": _plain("Where", torch.where), "Equal": _plain("Equal", torch.eq),
    "Concat": _concat, "Split": _split, "Slice": _slice, "Gather": _gather, "Shape": _shape, "Cast": _cast,
    "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Pad": _pad,
    "Resize": _resize, "ConstantOfShape": _filling,
    "Transpose": _transpose,
    "Expand": _plain("Expand", lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, shape.tolist()))),
}  # fmt: skip
"""Operator -> what makes its module. All of it is checked, network by network, against ONNX Runtime."""

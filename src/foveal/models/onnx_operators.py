"""Operators of ONNX as modules of torch: those of convolutional networks, at inference.

Each maker takes the node's attributes and its constant inputs, and returns the module and which inputs it is called
with. Where torch has the layer, it is the layer (`nn.Conv2d`); otherwise it is a function with a name (`Function`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.models.onnx_node import Function, Made, OnnxNode, Unconvertible
from foveal.models.onnx_shapes import (
    cast,
    concat,
    filling,
    flatten,
    gather,
    reshape,
    resize,
    shape,
    sliced,
    split,
    squeeze,
    transpose,
    unsqueeze,
)
from foveal.models.onnx_windows import average_pool, convolution, filled, max_pool, pad, turned


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


NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


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
    return filled(layer, weight.contiguous(), bias), (0,)


class _FittingNorm(nn.BatchNorm2d):
    """Of inputs of any number of axes."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


def _batch_norm(node: OnnxNode) -> Made:
    scale, shift, mean, variance = (node.weight(place) for place in (1, 2, 3, 4))
    if node.get("training_mode", 0):
        raise Unconvertible("BatchNormalization in training mode")
    layer = _FittingNorm(len(scale), eps=node.get("epsilon", 1e-5))
    filled(layer, scale, shift)
    layer.running_mean, layer.running_var = mean.clone(), variance.clone()
    return layer, (0,)


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
    return filled(layer, scale, shift), (0,)


def _instance_norm(node: OnnxNode) -> Made:
    scale, shift, eps = node.weight(1), node.weight(2), node.get("epsilon", 1e-5)
    return Function("InstanceNormalization", lambda x: F.instance_norm(x, None, None, scale, shift, eps=eps)), (0,)


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
    "Conv": convolution, "ConvTranspose": turned, "Gemm": _dense, "MatMul": _dense,
    "BatchNormalization": _batch_norm, "LayerNormalization": _layer_norm, "InstanceNormalization": _instance_norm,
    "MaxPool": max_pool, "AveragePool": average_pool,
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
    "Concat": concat, "Split": split, "Slice": sliced, "Gather": gather, "Shape": shape, "Cast": cast,
    "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Pad": pad,
    "Resize": resize, "ConstantOfShape": filling,
    "Transpose": transpose,
    "Expand": _plain("Expand", lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, shape.tolist()))),
}  # fmt: skip
"""Operator -> what makes its module. All of it is checked, network by network, against ONNX Runtime."""

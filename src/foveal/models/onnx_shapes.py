"""Operations of ONNX that move, cut and join values, as modules of torch."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.models.onnx_node import Function, Made, OnnxNode, Unconvertible


def resize(node: OnnxNode) -> Made:
    """Resize, in the modes that torch has too."""
    mode, how = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    scales = node.constants[2] if len(node.constants) > 2 else node.constants[1]
    sizes = node.constants[3] if len(node.constants) > 3 else None
    known = {("nearest", "asymmetric"), ("linear", "half_pixel"), ("linear", "pytorch_half_pixel"),
             ("linear", "align_corners"), ("cubic", "half_pixel")}  # fmt: skip
    if (mode, how) not in known:
        raise Unconvertible(f"Resize by {mode} with {how}")
    doubles = scales is not None and {float(scale) for scale in scales} <= {1.0, 2.0}  # both ways of rounding agree
    if mode == "nearest" and node.get("nearest_mode", "round_prefer_floor") != "floor" and not doubles:
        raise Unconvertible("Resize to the nearest cell, rounded")
    names = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    corners = None if mode == "nearest" else how == "align_corners"
    given: dict[str, Any] | None = {"size": sizes[2:].tolist()} if sizes is not None and sizes.numel() else None
    if given is None and scales is not None and scales.numel():
        given = {"scale_factor": scales[2:].tolist()}
    if given is None:
        raise Unconvertible("Resize to a size that is computed")
    return Function("Resize", lambda x: F.interpolate(x, mode=names[mode], align_corners=corners, **given)), (0,)


def reshape(node: OnnxNode) -> Made:
    """Reshape: a 0 keeps the side that is there, unless the node says otherwise."""
    keeps = not node.get("allowzero", 0)

    def reshape(x: Tensor, shape: Tensor) -> Tensor:
        sides = [int(side) for side in shape]
        return x.reshape([x.shape[i] if side == 0 and keeps else side for i, side in enumerate(sides)])

    return Function("Reshape", reshape), None


def _axes_of(node: OnnxNode) -> list[int] | None:
    axes = node.get("axes")
    given = node.constant(1) if axes is None else None
    return given.tolist() if given is not None else axes


def squeeze(node: OnnxNode) -> Made:
    """Squeeze of the axes given, or of every side of 1."""
    axes = _axes_of(node)
    return Function("Squeeze", lambda x: x.squeeze(tuple(axes)) if axes else x.squeeze()), (0,)


def unsqueeze(node: OnnxNode) -> Made:
    """Unsqueeze: axes count in the result."""
    axes = sorted(_axes_of(node) or ())
    return Function("Unsqueeze", lambda x: reduce(lambda y, axis: y.unsqueeze(axis), axes, x)), (0,)


def flatten(node: OnnxNode) -> Made:
    """Flatten of all axes but the first."""
    axis = node.get("axis", 1)
    if axis == 1:
        return nn.Flatten(1), None
    raise Unconvertible(f"Flatten from axis {axis}")


def concat(node: OnnxNode) -> Made:
    """Concat along an axis."""
    axis = node.attributes["axis"]
    return Function("Concat", lambda *parts: torch.cat(parts, axis)), None


def split(node: OnnxNode) -> Made:
    """Split along an axis, into sizes or into equal parts."""
    axis, given = node.get("axis", 0), node.get("split")
    sizes = node.weight(1).tolist() if given is None and len(node.constants) > 1 else given
    count = node.get("num_outputs")
    if sizes:
        return Function("Split", lambda x: x.split(sizes, axis)), (0,)
    if count:
        return Function("Split", lambda x: x.split(-(-x.shape[axis] // count), axis)), (0,)
    raise Unconvertible("Split without sizes")


def sliced(node: OnnxNode) -> Made:
    """Slice: from starts to ends in steps, of some axes."""
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


def gather(node: OnnxNode) -> Made:
    """Gather: an index drops its axis, a list keeps it."""
    axis = node.get("axis", 0)

    def gather(x: Tensor, index: Tensor) -> Tensor:
        chosen = x.index_select(axis, index.reshape(-1).long() % x.shape[axis])
        at = axis % x.ndim
        return chosen.reshape([*x.shape[:at], *index.shape, *x.shape[at + 1 :]])

    return Function("Gather", gather), None


def transpose(node: OnnxNode) -> Made:
    """Transpose; without an order the axes are turned round."""
    order = node.get("perm")
    return Function("Transpose", lambda x: x.permute(order or [*range(x.ndim)][::-1])), None


def shape(node: OnnxNode) -> Made:
    """Shape, or a part of it."""
    start, end = node.get("start", 0), node.get("end")
    return Function("Shape", lambda x: torch.tensor(x.shape[start:end])), None


def cast(node: OnnxNode) -> Made:
    """Cast to the number types in use."""
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64}
    if (kind := kinds.get(node.attributes["to"])) is None:
        raise Unconvertible("Cast to a rare type")
    return Function("Cast", lambda x: x.to(kind)), (0,)


def filling(node: OnnxNode) -> Made:
    """ConstantOfShape."""
    value = node.get("value")
    value = torch.zeros(1) if value is None else value
    return Function("ConstantOfShape", lambda shape: value.expand(shape.tolist()).clone()), None

"""Operations that look at neighbors: the middle of what they see, further along the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from foveal.engine.positions.axis import Along, Pair, sampled, summed
from foveal.engine.positions.where import Call


def convolved(call: Call, k: int) -> Along:
    """Channels and cells under the kernel; of a transposed one, the cell that it is spread from."""
    weight, out = call["weight"], call.out
    space = weight.ndim - 2
    p = _over_channels(call, k, space)
    stride, padding, dilation = (_each(call[name], space) for name in ("stride", "padding", "dilation"))
    for i in range(space):
        dim = out.ndim - space + i
        reach = dilation[i] * (weight.shape[2 + i] - 1) / 2
        if call["transposed"]:
            p = sampled(p, dim, out.shape[dim], 1 / stride[i], (padding[i] - reach) / stride[i])
        else:
            p = sampled(p, dim, out.shape[dim], stride[i], reach - padding[i])
    return p


def _over_channels(call: Call, k: int, space: int) -> Along:
    p, groups, dim = call.of(call["input"], k), call["groups"], call.out.ndim - space - 1
    if p.at.shape[dim] == 1 or groups == 1:
        return summed(p, [dim])
    each = summed(replace(p, at=p.at.unflatten(dim, (groups, -1))), [dim + 1])
    return replace(each, at=each.at.squeeze(dim + 1).repeat_interleave(call.out.shape[dim] // groups, dim))


def pooled(call: Call, k: int) -> Along:
    """Cells under the window."""
    p, space = call.of(call["self"], k), _space(call)
    kernel = _each(call["kernel_size"], space)
    stride = _each(call["stride"] or kernel, space)
    padding, dilation = _each(call["padding"] or 0, space), _each(call["dilation"] or 1, space)
    for i in range(space):
        dim = call.out.ndim - space + i
        p = sampled(p, dim, call.out.shape[dim], stride[i], dilation[i] * (kernel[i] - 1) / 2 - padding[i])
    return p


def patched(call: Call, k: int) -> Along:
    """`unfold`: (n, c · kernel, windows), all that is in a window lies at its middle."""
    kernel, dilation, padding, stride = (call[name] for name in ("kernel_size", "dilation", "padding", "stride"))
    x = call["self"]
    p = call.of(x, k)
    counts = []
    for i in (0, 1):
        dim, reach = x.ndim - 2 + i, dilation[i] * (kernel[i] - 1)
        counts.append((x.shape[dim] + 2 * padding[i] - reach - 1) // stride[i] + 1)
        p = sampled(p, dim, counts[i], stride[i], reach / 2 - padding[i])
    return replace(p, at=p.at.expand(*p.at.shape[:-2], *counts).flatten(-2))


def resized(call: Call, k: int) -> Along:
    """Interpolation, and pooling to a given size."""
    x, out = call.first, call.out
    p = call.of(x, k)
    space = _space(call)
    for i, scale in enumerate(_scales(call, space)):
        dim = out.ndim - space + i
        p = sampled(p, dim, out.shape[dim], *_spread(call, x.shape[dim], out.shape[dim], scale))
    return p


def _spread(call: Call, before: int, now: int, scale: float | None) -> Pair:
    """Step and start, in cells as before."""
    if call["align_corners"]:
        return (before - 1) / max(1, now - 1), 0.0
    step = 1 / scale if scale else before / now
    if "nearest" not in call.name:
        return step, step / 2 - 0.5
    # Whole cells are copied, or left out; on the mean they lie here.
    ahead = 0.5 if "exact" in call.name else 0.0
    return step, sum(min(int((j + ahead) * step), before - 1) - j * step for j in range(now)) / now


def _scales(call: Call, space: int) -> Sequence[float | None]:
    """How many times larger each side was to become; None where the size was said."""
    if call["scale_factors"] is not None:
        return list(call["scale_factors"])
    return [call["scales"]] if space == 1 else [call[name] for name in ("scales_d", "scales_h", "scales_w")[-space:]]


def _space(call: Call) -> int:
    """ "max_pool2d_with_indices" is 2."""
    return next(int(digit) for digit, letter in pairwise(call.name) if digit.isdigit() and letter == "d")


def _each(value: Any, space: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * space if len(values) == 1 else values

"""Operations that leave numbers as they are, or change each by itself: their positions go the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from math import prod
from typing import Any

import torch
from torch import Tensor

from foveal.engine.positions.axis import Along, UnknownPlaceError, compact, met, nowhere
from foveal.engine.positions.where import Call


def elementwise(call: Call, k: int) -> Along:
    """What has no place goes with what has one."""
    return reduce(met, [where.axes[k].lifted(call.out.ndim) for _, where in call.inputs])


def kept(call: Call, k: int) -> Along:
    """The first argument's: normalization, softmax; attention, which gives to each query."""
    return call.of(call.first, k)


def within(call: Call, k: int) -> Along:
    """What sorts, halves or adds up along one dimension leaves the others as they are."""
    p, dim = call.of(call["self"], k), call["dim"]
    if p.at.shape[-1 if dim is None else dim] > 1:
        raise UnknownPlaceError
    return p


def copied(call: Call, k: int) -> Along:
    """`copy_`: what is there afterwards lies where it comes from."""
    return call.of(call["src"], k).lifted(call.out.ndim)


def emptied(call: Call, k: int) -> Along:
    """Nothing of the image is left."""
    return nowhere(call.out.ndim)


def moved(call: Call, k: int) -> Sequence[Along]:
    """The operation itself, done to positions: to small ones if that comes out right."""
    return _done(call, k, full=False) or _done(call, k, full=True)


def rearranged(call: Call, k: int) -> Sequence[Along]:
    """The same where the sizes of all dimensions matter."""
    return _done(call, k, full=True)


def rolled(call: Call, k: int) -> Sequence[Along]:
    """`roll`: along the dimensions it names, or through all elements in their order where it names none."""
    return moved(call, k) if call["dims"] else rearranged(call, k)


def _done(call: Call, k: int, *, full: bool) -> Sequence[Along]:
    """Where the outputs lie; none where small positions do not do, an error where full ones do not."""
    if any(not tensor.is_floating_point() for tensor, _ in call.inputs):
        raise UnknownPlaceError  # indices that depend on the image
    func = call.func
    if func._schema.is_mutable:
        func = getattr(getattr(torch.ops.aten, call.name), func._overloadname)

    def positions(leaf: Any) -> Any:
        if isinstance(leaf, list | tuple):
            return [positions(part) for part in leaf]
        if not isinstance(leaf, Tensor):
            return leaf
        if not leaf.is_floating_point():
            return leaf.cpu()
        at = call.of(leaf, k).at
        return at.expand(leaf.shape) if full else at

    try:
        result = func(*map(positions, call.args), **{key: positions(value) for key, value in call.kwargs.items()})
    except (RuntimeError, IndexError, ValueError):
        if full:
            raise
        return []
    grain = max(where.axes[k].grain for _, where in call.inputs)
    results = result if isinstance(result, list | tuple) else [result]
    axes = [Along(compact(at, by_value=full), grain) for at in results]
    right = len(axes) == len(call.outputs) and all(p.fits(value) for p, value in zip(axes, call.outputs, strict=True))
    return axes if right else []


def padded(call: Call, k: int) -> Along:
    """Beyond the edges the line goes on, whatever is put there."""
    p = call.of(call["self"], k)
    pad = list(call["pad"] or call["padding"])
    at = p.at
    for number in range(len(pad) // 2):
        if at.shape[-1 - number] > 1:
            at = torch.constant_pad_nd(at, [0, 0] * number + pad[2 * number : 2 * number + 2], torch.nan)
    return replace(p, at=at)


def joined(call: Call, k: int) -> Along:
    """`cat`, `stack`: along channels what meets in one place; along the image's own axes one after the other."""
    tensors = [t for t in call["tensors"] if t.shape != (0,)]
    parts, dim = [call.of(t, k) for t in tensors], call["dim"] or 0
    counts = [t.shape[dim] for t in tensors] if call.name == "cat" else [1] * len(tensors)
    dim %= call.out.ndim
    if call.name == "stack":
        parts = [replace(p, at=p.at.unsqueeze(dim)) for p in parts]
    finest = min((p for p in parts if not p.nowhere), key=lambda p: p.grain, default=parts[0])
    if all(p.at.shape[dim] == 1 and finest.meets(p) for p in parts):
        return finest
    shape = torch.broadcast_shapes(*(p.at.narrow(dim, 0, 1).shape for p in parts))
    each = [p.at.expand(*shape[:dim], n, *shape[dim + 1 :]) for p, n in zip(parts, counts, strict=True)]
    return Along(torch.cat(each, dim), max(p.grain for p in parts))


def reshaped(call: Call, k: int) -> Along:
    """The same elements in another shape; dimensions that keep to themselves stay small if they were."""
    x = call["self"]
    p = call.of(x, k)
    full: list[int] = []
    shape: list[int] = []
    split = False
    for old, new in _groups(x.shape, call.out.shape):
        small = all(p.at.shape[dim] == 1 for dim in old)
        full += [1 if small else x.shape[dim] for dim in old]
        shape += [1 if small else call.out.shape[dim] for dim in new]
        split |= not small and len(new) > 1
    return replace(p, at=compact(p.at.expand(full).reshape(shape), by_value=split))


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The dimensions of two shapes, in the smallest groups that hold as many elements."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        old, new = list(range(len(before)))[i : i + 1], list(range(len(after)))[j : j + 1]
        while (a := prod(before[d] for d in old)) != (b := prod(after[d] for d in new)):
            if a < b:
                old.append(i + len(old))
            else:
                new.append(j + len(new))
        i, j = i + len(old), j + len(new)
        groups.append((old, new))
    return groups

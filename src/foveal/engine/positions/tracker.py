"""Follows positions through a forward, and reads off where the cells of a map lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from foveal.engine.layout import Layout
from foveal.engine.positions.axis import Along, Pair, UnknownPlaceError, compact, line, pixels, summed
from foveal.engine.positions.table import after
from foveal.engine.positions.where import Call, Cells, Where
from foveal.engine.tensor_map import TensorMap

_FIRST: Mapping[Layout, int] = {"nchw": 2, "nhwc": 1}
"""Layout -> the first dimension of the map."""


class PositionTracker:
    """Where tensors lie that were computed from an image (n, c, h, w), a signal (n, c, length), a volume."""

    def __init__(self, source: Tensor) -> None:
        self._known: TensorMap[Where] = TensorMap()
        self._written: dict[int, _Memory] = {}
        if source.ndim > 2:
            shapes = [[side if dim == at else 1 for dim in range(source.ndim)] for at, side in enumerate(source.shape)]
            axes = zip(source.shape[2:], shapes[2:], strict=True)
            self._known[source] = Where(tuple(pixels(side, shape) for side, shape in axes))

    def where(self, tensor: Tensor) -> Where | None:
        """None of what does not depend on the image."""
        if self._written and (memory := self._written.get(_number(tensor))):
            return memory.where(tensor)
        return self._known.get(tensor)

    def put(self, tensor: Tensor, where: Where) -> None:
        """Say where a tensor lies that was computed elsewhere."""
        self._known[tensor] = where

    def follow(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], given: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> Call:  # fmt: skip
        """What an operation that has just run made of the positions of the tensors it was given."""
        inputs = [(tensor, where) for tensor in given if (where := self.where(tensor))]
        call = Call(func, args, kwargs, inputs, outputs)
        for output, where in zip(outputs, after(call), strict=True) if inputs and outputs else ():
            if any(output is tensor for tensor in given):
                self._write(output, where)
            else:
                self._known[output] = where
        return call

    def _write(self, tensor: Tensor, where: Where) -> None:
        """An operation wrote into a tensor: whatever shares its memory lies elsewhere now, too."""
        before = self.where(tensor)
        if (
            before
            and before.lost == where.lost
            and all(p.equals(q) for p, q in zip(before.axes, where.axes, strict=True))
        ):
            return
        number = _number(tensor)
        if number not in self._written:
            sharing = [(other, known) for other, known in self._known.items() if _number(other) == number]
            if not number or (tensor._base is None and all(other is tensor for other, _ in sharing)):
                self._known[tensor] = where
                return
            self._written[number] = _Memory(tensor, len(where.axes))
            for other, known in sharing:
                self._written[number].note(other, known)
        self._written[number].note(tensor, where)


class _Memory:
    """Where the elements of a storage lie into which was written part by part."""

    def __init__(self, tensor: Tensor, axes: int) -> None:
        self._storage = tensor.untyped_storage()  # held, so that no other gets its number
        count = self._storage.nbytes() // tensor.element_size()
        self._axes = [torch.full((count,), torch.nan, dtype=torch.float64, device="cpu") for _ in range(axes)]
        self._grain = [1.0] * axes
        self._lost = self._by = ""

    def note(self, tensor: Tensor, where: Where) -> None:
        self._lost, self._by = self._lost or where.lost, where.by or self._by
        for k, p in enumerate(where.axes):
            self._grain[k] = max(self._grain[k], p.grain)
            _part(self._axes[k], tensor).copy_(p.at.expand(tensor.shape))

    def where(self, tensor: Tensor) -> Where:
        at = [compact(_part(axis, tensor), by_value=True).clone() for axis in self._axes]
        return Where(tuple(map(Along, at, self._grain)), self._lost, self._by or "copy")


def _number(tensor: Tensor) -> int:
    """Of its memory; 0 where there is none, as in sparse tensors."""
    return int(tensor.untyped_storage()._cdata) if tensor.layout is torch.strided else 0


def _part(flat: Tensor, tensor: Tensor) -> Tensor:
    return flat.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())


def layout_of(where: Where | None, shape: Sequence[int]) -> Layout | None:
    """Which axes the image's rows and columns went to; None where that is not known, or they went elsewhere."""
    if where is None or where.lost or len(shape) != len(where.axes) + 2:
        return None
    moving = {dim for p in where.axes for dim in range(len(shape)) if p.at.shape[dim] > 1}
    if not moving:
        return None
    maps = {layout: {*_dims(layout, where.axes)} for layout in _FIRST}
    fitting = (at for at, own in maps.items() if moving <= own and all(shape[dim] == 1 for dim in own - moving))
    return next(fitting, None)


def _dims(layout: Layout, axes: Sequence[object]) -> tuple[int, ...]:
    """The dimensions of the map."""
    return tuple(range(_FIRST[layout], _FIRST[layout] + len(axes)))


def place_of(where: Where | None, shape: Sequence[int], layout: Layout, image: Sequence[int]) -> Cells | str:
    """Where the cells of a map lie, or the operation after which that is not known."""
    dims = _dims(layout, image)
    if all(shape[dim] == 1 for dim in dims):
        return Cells(tuple(side / 2 for side in image), tuple(map(float, image)))
    if where is None or where.lost:
        return where.lost if where else "it does not depend on the image"
    try:
        axes = [summed(p, [dim for dim in range(len(shape)) if dim not in dims]) for p in where.axes]
        turned = len(dims) == 2 and (axes[0].at.shape[dims[1]] > 1 or axes[1].at.shape[dims[0]] > 1)
        along = dims[::-1] if turned else dims
        lines = [_line(p, dim, shape[dim], side) for p, dim, side in zip(axes, along, image, strict=True)]
    except UnknownPlaceError:
        return where.by or "unknown"
    return Cells(tuple(first for first, _ in lines), tuple(step for _, step in lines), turned)


def _line(p: Along, dim: int, cells: int, side: int) -> Pair:
    """The first middle, and the step; a single cell has the whole side."""
    if cells == 1:
        return side / 2, float(side)
    if p.at.numel() == 1 or p.at.shape[dim] != p.at.numel():
        raise UnknownPlaceError
    first, step = line(p, dim)
    return float(first), step

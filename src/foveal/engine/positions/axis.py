"""Positions along one axis of the image, and the lines that they lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Pair = tuple[float, float]

AXES = (0, 1)  # y, x
NEAR = 1e-3  # pixels that rounding may make of nothing


class UnknownPlaceError(Exception):
    """After this operation it is not known where the elements lie."""


@dataclass(frozen=True, eq=False)
class Along:
    """Where the elements of a tensor lie along one axis of the image.

    Attributes:
        at: as many dimensions as the tensor, of size 1 wherever nothing changes: (1, 1, h, 1) for the rows of (n, c, h,
            w). NaN has no place: constants, padding, what was pooled over the whole axis.
        grain: how large the cells are of which it was made; interpolation makes no finer ones.
    """

    at: Tensor
    grain: float = 1.0
    lines: dict[int, tuple[Tensor, float]] = field(default_factory=dict, init=False)
    rulers: dict[int, Any] = field(default_factory=dict, init=False)

    @cached_property
    def nowhere(self) -> bool:
        return bool(self.at.isnan().all())

    @cached_property
    def whole(self) -> bool:
        """Whether every element has a place."""
        return not bool(self.at.isnan().any())

    @property
    def spacing(self) -> float:
        """The least distance between cells; 0 where there is one."""
        values = self.at[~self.at.isnan()].unique()
        steps = values.diff()
        steps = steps[steps > NEAR]
        return float(steps.amin()) if len(steps) else 0.0

    def meets(self, other: Along) -> bool:
        """Whether another lies in the same place, as far as its cells are fine."""
        far = float((self.at - other.at).abs().nan_to_num(0.0).amax())
        return far <= (0.0 if self.grain == other.grain else max(self.grain, other.grain) / 2) + NEAR

    def fits(self, tensor: Tensor) -> bool:
        shapes = zip(self.at.shape, tensor.shape, strict=False)
        return self.at.ndim == tensor.ndim and all(own in (1, size) for own, size in shapes)

    def equals(self, other: Along) -> bool:
        return self.at is other.at or (self.at.shape == other.at.shape and torch.equal(self.at, other.at))

    def lifted(self, ndim: int) -> Along:
        """With as many dimensions, as broadcasting does it."""
        missing = ndim - self.at.ndim
        return replace(self, at=self.at.reshape(*[1] * missing, *self.at.shape)) if missing else self


_nowhere: dict[int, Along] = {}


def nowhere(ndim: int) -> Along:
    """The positions of a tensor that has no place in the image: NaN, in `ndim` dimensions of size 1."""
    if ndim in _nowhere:
        return _nowhere[ndim]
    made = Along(torch.full((1,) * ndim, torch.nan, dtype=torch.float64, device="cpu"))
    if type(made.at) is Tensor:  # not one of a caller who only pretends to compute
        _nowhere[ndim] = made
    return made


def pixels(side: int, shape: Sequence[int]) -> Along:
    """The middles of pixels."""
    return Along((torch.arange(side, dtype=torch.float64, device="cpu") + 0.5).view(*shape))


def compact(at: Tensor, *, by_value: bool = False) -> Tensor:
    """Size 1 wherever nothing changes, as far as strides tell, or the values; NaN goes with what there is."""
    for dim in [dim for dim in range(at.ndim) if at.shape[dim] > 1]:
        if at.stride(dim) == 0:
            at = at.narrow(dim, 0, 1)
        elif by_value:
            low = at.nan_to_num(nan=-torch.inf)
            highest = low.amax(dim, keepdim=True)
            if bool(((low == highest) | (low == -torch.inf)).all()):
                at = highest.where(highest > -torch.inf, torch.nan)
    return at


def met(a: Along, b: Along) -> Along:
    """What meets place by place.

    It may be half a cell apart, which cannot be told from two ways to go on from pairs of cells, or from interpolation
    between coarser ones. The finer of the two decides; of two that are equally fine it is the middle.
    """
    if a.equals(b):
        return a if a.grain <= b.grain else b
    if a.nowhere or b.nowhere:
        return b if a.nowhere else a
    far = float((a.at - b.at).abs().nan_to_num(0.0).amax())
    if far <= NEAR:
        return Along(compact(torch.where(a.at.isnan(), b.at, a.at), by_value=True), min(a.grain, b.grain))
    if far > max(a.grain, b.grain, a.spacing, b.spacing) / 2 + NEAR:
        raise UnknownPlaceError
    if a.grain == b.grain:
        return Along((a.at + b.at) / 2, a.grain)
    return a if a.grain < b.grain else b


def sampled(p: Along, dim: int, count: int, step: float, start: float) -> Along:
    """Of `count` elements made around the indices start, start + step, … of a dimension.

    They may lie between and outside of the elements there are: the line goes on.
    """
    if p.at.shape[dim] == 1:
        return p
    if p.nowhere or count == 1:  # made of the whole axis
        return nowhere(p.at.ndim)
    first, slope = line(p, dim)
    if (count, step, start) == (p.at.shape[dim], 1, 0) and p.whole:
        return p
    index = torch.arange(count, dtype=torch.float64, device="cpu") * step + start
    at = first + slope * index.view([-1 if d == dim else 1 for d in range(p.at.ndim)])
    return Along(at, max(p.grain, abs(slope * step)))


def summed(p: Along, dims: Sequence[int]) -> Along:
    """Of sums over dimensions, which become 1: the middle, if all lies within a cell; nowhere of the whole axis."""
    dims = [dim for dim in dims if p.at.shape[dim] > 1]
    if not dims:
        return p
    middle = Along(p.at.nanmean(dims, keepdim=True), p.grain)
    if middle.at.numel() == 1 or middle.nowhere:
        return nowhere(p.at.ndim)
    spacing = middle.spacing
    if float((p.at - middle.at).abs().nan_to_num(0.0).amax()) > spacing / 2 + NEAR:
        raise UnknownPlaceError
    return replace(middle, grain=max(p.grain, spacing))


def line(p: Along, dim: int) -> tuple[Tensor, float]:
    """The value at index 0, and the step; NaN at the ends is no hindrance, and copies of a cell share its room.

    Raises:
        UnknownPlaceError: where positions along the dimension lie on no line.
    """
    if dim in p.lines:
        return p.lines[dim]
    lanes = p.at.movedim(dim, -1).flatten(0, -2)
    known = ~lanes.isnan()
    some = known.any(1)
    there = known[some]
    if not len(there) or not bool((there == there[0]).all()) or int(there[0].sum()) < 2:
        raise UnknownPlaceError
    index = there[0].nonzero()[:, 0]
    steps = lanes[some][:, index].diff(dim=1)
    if float((steps - steps[0]).abs().amax()) > NEAR:
        raise UnknownPlaceError
    start, slope = _fitted(index.tolist(), steps[0].tolist())
    p.lines[dim] = p.at.narrow(dim, int(index[0]), 1) - slope * start, slope
    return p.lines[dim]


def _fitted(index: Sequence[int], steps: Sequence[float]) -> tuple[float, float]:
    """The index at which the line through such steps has its first value, and its slope."""
    turns = [i for i, step in enumerate(steps) if abs(step) > NEAR]
    if not turns or any(abs(steps[i] - steps[turns[0]]) > NEAR for i in turns):
        raise UnknownPlaceError
    begins = [index[i + 1] for i in turns]  # of each further cell
    rooms = {after - before for before, after in pairwise(begins)}
    first, last = begins[0] - index[0], index[-1] - begins[-1] + 1
    copied = len(turns) < len(steps)
    room = rooms.pop() if rooms else max(first, last) if copied else first
    # The first and the last of copied cells may have been cut; without copies every step is as wide.
    fits = max(first, last) <= room and len(steps) == index[-1] - index[0] if copied else first == room
    if rooms or not fits:
        raise UnknownPlaceError
    return (begins[0] - (room + 1) / 2 if copied else float(index[0])), steps[turns[0]] / room

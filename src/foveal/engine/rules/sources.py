"""Where the numbers of a tensor come from: whether a maximum is taken over places of one channel, or over features.

Layers give maps whose channels and places are known. What rearranges numbers is written down, and done again with
numbers that say where each one is from, when a maximum asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor

from foveal.engine.rules.operation import CONVOLUTIONS, TRANSPOSED
from foveal.engine.tensor_map import TensorMap

JOINING = frozenset({"cat", "concat", "concatenate"})
REARRANGING = JOINING | frozenset(
    {"view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "ravel", "permute", "transpose", "swapaxes"}
    | {"swapdims", "t", "adjoint", "movedim", "moveaxis", "squeeze", "unsqueeze", "expand", "expand_as", "repeat"}
    | {"broadcast_to", "tile", "repeat_interleave", "stack", "hstack", "vstack", "dstack", "split", "chunk", "unbind"}
    | {"tensor_split", "split_with_sizes", "getitem", "setitem", "get", "select", "narrow", "index_select", "gather"}
    | {"take_along_dim", "diagonal", "roll", "flip", "rot90", "pad", "constant_pad_nd", "unfold", "pixel_shuffle"}
    | {"pixel_unshuffle", "channel_shuffle"}
)
POOLS = frozenset(
    f"{kind}max_pool{dims}d{also}" for kind in ("", "adaptive_") for dims in (1, 2, 3) for also in ("", "_with_indices")
)
SLIDING = POOLS | frozenset(
    {*CONVOLUTIONS, *TRANSPOSED, "convolution", "interpolate", "upsample", "grid_sample", "max_unpool2d", "lp_pool2d"}
    | {f"{kind}avg_pool{dims}d" for kind in ("", "adaptive_") for dims in (1, 2, 3)}
)
DENSE = frozenset({"linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "scaled_dot_product_attention"})

UNIT = 2.0**31
"""A number of channel c at place p is c × UNIT + p, with channels from 1; what is less is of no feature."""


@dataclass(frozen=True, eq=False)
class Whole:
    """What a layer gives: channels along one axis, images and places along the others."""

    shape: tuple[int, ...]
    channel: int = 1


@dataclass(frozen=True, eq=False)
class Fixed:
    """Numbers that do not depend on features."""

    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Moved:
    """What an operation that rearranges numbers gives; with places for the tensors among its arguments."""

    shape: tuple[int, ...]
    func: Callable[..., Any]
    args: Any
    kwargs: Any
    part: int | None


Source: TypeAlias = Whole | Fixed | Moved
Greatest: TypeAlias = Callable[[Tensor], Tensor]
"""The greatest number of each group that is pooled together."""


class Sources:
    """Where the numbers of each tensor on the way come from."""

    def __init__(self) -> None:
        self._of: TensorMap[Source] = TensorMap()

    def of(self, tensor: Tensor) -> Source:
        if tensor in self._of:
            return self._of[tensor]
        return Whole(tuple(tensor.shape)) if tensor.requires_grad else Fixed(tuple(tensor.shape))

    def given(self, name: str, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        """The arguments with places for tensors, before the operation writes into any; of most, the places alone.

        `tensors` are those among the arguments.
        """
        if name in REARRANGING:
            return self._placed(args), self._placed(kwargs)
        return [self.of(value) for value in tensors if value.requires_grad]

    def follow(self, name: str, func: Any, given: Any, args: Any, result: Any) -> None:
        """Where the numbers of the result come from, or of what was written into."""
        parts = list(enumerate(result)) if isinstance(result, list | tuple) else [(None, result)]
        if result is None and args:
            parts = [(None, args[0])]
        for part, tensor in parts:
            if isinstance(tensor, Tensor) and tensor.requires_grad:
                self._of[tensor] = self._made(name, func, given, part, tensor, args)

    def mixes(self, tensor: Tensor, greatest: Greatest, dims: tuple[int, ...] | None) -> bool:
        """Whether groups hold several channels, or each one a constant or the same number twice.

        Groups are what lies along `dims`, or None: windows over the last axes.
        """
        place = self.of(tensor)
        if isinstance(place, Whole) and (dims is not None or place.channel == 1):
            channel = place.channel if tensor.ndim > 1 else -1
            return dims is not None and tensor.ndim > 0 and channel % tensor.ndim in dims
        with torch.no_grad():
            try:
                return _mixed(_marked(place, {}), greatest)
            except (RuntimeError, TypeError, ValueError, IndexError):  # it cannot be done again: better named
                return True

    def _placed(self, values: Any) -> Any:
        if isinstance(values, Tensor):
            return values.detach().cpu() if not values.is_floating_point() else self.of(values)
        if isinstance(values, dict):
            return {key: self._placed(value) for key, value in values.items()}
        if isinstance(values, list | tuple) and not isinstance(values, torch.Size):
            return type(values)(map(self._placed, values)) if type(values) in (list, tuple) else values
        return values

    def _made(self, name: str, func: Any, given: Any, part: int | None, tensor: Tensor, args: Any) -> Source:
        shape = tuple(tensor.shape)
        if name in REARRANGING:
            if name in JOINING and _joins_channels(*given):
                return Whole(shape)
            moved, named = given
            return Moved(shape, func, moved, named, part)
        if name in SLIDING:
            return Whole(shape)
        if name in DENSE:
            turned = name in ("matmul", "bmm") and tensor.ndim > 2 and not (args and args[0].requires_grad)
            return Whole(shape, -2 if turned else -1)
        return _alike(given, shape)


def _alike(sources: list[Source], shape: tuple[int, ...]) -> Source:
    """Of an operation on each number: as its arguments, of those the one that is as a layer gives it."""
    same = [source for source in sources if source.shape == shape]
    if same:
        return next((source for source in same if isinstance(source, Whole)), same[0])
    if len(sources) == 1 and prod(sources[0].shape) < prod(shape) and _widens(sources[0].shape, shape):
        return Moved(shape, torch.broadcast_to, (sources[0], shape), {}, None)
    return Whole(shape)


def _widens(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    return len(small) <= len(large) and all(
        s in (1, size) for s, size in zip(reversed(small), reversed(large), strict=False)
    )


def _joins_channels(args: Any, kwargs: Any) -> bool:
    """Whether maps of layers are joined, channel behind channel."""
    parts = args[0] if args else kwargs.get("tensors", [])
    dim = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", 0))
    return all(isinstance(part, Whole) and part.channel == 1 and dim in (1, 1 - len(part.shape)) for part in parts)


def _marked(place: Source, made: dict[Source, Tensor]) -> Tensor:
    """Numbers that say which channel and place each number comes from."""
    if place not in made:
        made[place] = _mark(place, made)
    return made[place]


def _mark(place: Source, made: dict[Source, Tensor]) -> Tensor:
    if isinstance(place, Fixed):
        return torch.zeros(place.shape, dtype=torch.float64)
    if isinstance(place, Whole):
        return _numbered(place)
    args, kwargs = (_filled(values, made) for values in (place.args, place.kwargs))
    result = place.func(*args, **kwargs)
    result = args[0] if result is None else result
    marked: Tensor = result if place.part is None else result[place.part]
    return marked


def _numbered(place: Whole) -> Tensor:
    channel = place.channel if len(place.shape) > 1 else -1
    shape = list(place.shape)
    size = shape.pop(channel)
    places = torch.arange(prod(shape), dtype=torch.float64).view(shape).unsqueeze(channel)
    channels = torch.arange(1, size + 1, dtype=torch.float64)
    return places + UNIT * channels.view(
        [-1 if axis == channel % len(place.shape) else 1 for axis in range(len(place.shape))]
    )


def _filled(values: Any, made: dict[Source, Tensor]) -> Any:
    """The arguments with numbers for places; copies, as an operation may write into them."""
    if isinstance(values, Whole | Fixed | Moved):
        return _marked(values, made).clone()
    if isinstance(values, dict):
        return {key: _filled(value, made) for key, value in values.items()}
    return type(values)(_filled(value, made) for value in values) if type(values) in (list, tuple) else values


def _mixed(marked: Tensor, greatest: Greatest) -> bool:
    """Whether any group holds several channels, or every group a constant, or one number twice."""
    fixed = ~(marked.isfinite() & (marked >= UNIT))
    channels = torch.div(marked, UNIT, rounding_mode="floor")
    nothing = torch.full_like(marked, -torch.inf)
    several = greatest(torch.where(fixed, nothing, channels)) + greatest(torch.where(fixed, nothing, -channels))
    if bool((several > 0).any()) or bool((greatest(fixed.double()) > 0).all()):
        return True
    turns = _turns(torch.where(fixed, 0, marked)) * ~fixed
    return bool((greatest(turns) + greatest(-turns) > 0).all())


def _turns(marked: Tensor) -> Tensor:
    """How often each number has been there before."""
    order = marked.flatten().argsort(stable=True)
    ranked = marked.flatten()[order]
    counted = torch.arange(len(ranked))
    new = torch.ones_like(ranked, dtype=torch.bool)
    new[1:] = ranked[1:] != ranked[:-1]
    first = torch.where(new, counted, 0).cummax(0).values
    turns = torch.zeros_like(ranked)
    turns[order] = (counted - first).to(turns)
    return turns.view_as(marked)

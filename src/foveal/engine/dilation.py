"""A finer map from the same weights: strides become dilations, operation by operation.

A stride of 2 throws away every second cell. Run with stride 1 instead, the operation gives all of them, and what
comes after it must look at every second cell only, that is, be dilated by 2:

    as built      x ── conv, stride 2 ── conv 3×3             a map of n cells
    dilated       x ── conv, stride 1 ── conv 3×3, dilated    2n cells, of which every second is the map as built

Every `factor`-th row and column, from the first on, is a row and column of the network's own map, exactly: the
algorithme à trous (Holschneider et al., 1989; in networks Shelhamer et al., PAMI 2017; Yu et al., CVPR 2017). With f
the factor of a map of N cells where the network as built has n, f(n−1) < N ≤ fn always holds, and so n = ⌈N/f⌉.

What looks at a finer map as a whole (global pooling, squeeze-excite, attention) sees all the cells, and gives nearly,
not exactly, what it gave. What dilation cannot follow gets the average of the f × f interleaved maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from foveal.engine.tensor_map import TensorMap
from foveal.engine.windows import ONE, WINDOWS, Apply, Pair, Window, times


@dataclass(frozen=True)
class Grid:
    """How the cells of a map lie to those of the network as built.

    Attributes:
        size: (h, w) of the map.
        stride: input pixels from one cell to the next.
        factor: every factor-th cell is one of the network as built.
        local: False where a finer map was looked at as a whole on the way, so those cells are no longer equal.
    """

    size: Pair
    stride: Pair = ONE
    factor: Pair = ONE
    local: bool = True

    @property
    def built(self) -> Pair:
        """(h, w) of the map in the network as built."""
        return -(-self.size[0] // self.factor[0]), -(-self.size[1] // self.factor[1])

    def axes(self, tensor: Tensor) -> Pair | None:
        """Which two axes of a tensor are this map's; None where it has lost them."""
        shape = tuple(tensor.shape)
        return next(((i, i + 1) for i in reversed(range(len(shape) - 1)) if shape[i : i + 2] == self.size), None)


class Dilated(TorchFunctionMode):
    """Runs a forward so that strides make no map coarser than `finest` input pixels a cell, (y, x)."""

    def __init__(self, finest: tuple[float, float] = (math.inf, math.inf)) -> None:
        super().__init__()
        self._finest = finest
        self._grids: TensorMap[Grid] = TensorMap()

    def grid(self, tensor: Tensor) -> Grid:
        """How the cells of a tensor lie; as in the network where nothing else is known."""
        kept = self._grids.get(tensor)
        return kept or Grid(_size(tensor))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        x = args[0] if args else kwargs.get("input")
        if self._on_grid(x):
            if name in WINDOWS:
                return self._look(partial(func, *args, **kwargs), *WINDOWS[name](func, *args, **kwargs))
            others = {key: value for key, value in kwargs.items() if key != "input"}
            result = self._follow(name, func, x, *args[1:], **others)
            if result is not None:
                return result
        args, kwargs = self._cropped((args, kwargs))
        return self._pass_on(name, func(*args, **kwargs), (args, kwargs))

    def _look(self, as_built: Callable[[], Any], x: Tensor, window: Window, apply: Apply) -> Any:
        """An operation with a window: as built as long as the map may become coarser, else in smaller steps."""
        grid = self.grid(x)
        if window.kernel == grid.size and window.wider_than(grid.built):  # read off the finer map, for global pooling
            return self._note(as_built(), times(grid.stride, grid.size), ONE, False)
        step = self._step(window.stride, grid)
        if grid.factor == ONE and step == window.stride:
            result = as_built()
        else:
            result = apply(x, window.refined(grid.size, grid.built, grid.factor, step))
        return self._note(result, times(grid.stride, step), _over(times(grid.factor, window.stride), step), grid.local)

    def _follow(self, name: str, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """An operation that goes by rows and columns; None for any other."""
        if name == "__getitem__":
            return self._sliced(x, *args)
        if name in _RESIZING:
            return self._resized(func(self._fold(x), *args, **kwargs), self.grid(x))
        if self.grid(x).factor == ONE:
            return None
        if name == "pad":
            return self._padded(x, *args, **kwargs)
        if name in _POOLING:
            result = func(self._fold(x), *args, **kwargs)
            return None if result.shape[2:] == ONE else self._resized(result, self.grid(x))
        if name in _FLATTENING:
            return self._flattened(func, x, *args, **kwargs)
        return None

    def _padded(self, x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
        grid = self.grid(x)
        (h, w), (fy, fx) = grid.built, grid.factor
        if mode != "constant":  # mirrors lie at the last cell as built
            x = x[:, :, : fy * (h - 1) + 1, : fx * (w - 1) + 1]
        wide = [side * factor for side, factor in zip(pad, (fx, fx, fy, fy) + (1,) * len(pad), strict=False)]
        return self._note(F.pad(x, wide, mode, value), grid.stride, grid.factor, grid.local and mode != "circular")

    def _sliced(self, x: Tensor, index: Any) -> Tensor | None:
        """`x[:, :, 1:, ::2]` of the map as built."""
        grid = self.grid(x)
        if not (isinstance(index, tuple) and len(index) > 2 and all(isinstance(cut, slice) for cut in index)):
            return None
        cuts = [cut.indices(n) for cut, n in zip(index[2:], grid.built, strict=False)]
        cuts += [(0, n, 1) for n in grid.built[len(cuts) :]]
        stride = (cuts[0][2], cuts[1][2])
        step = self._step(stride, grid)
        parts = zip(cuts, grid.factor, step, strict=True)
        fine = [slice(start * f, stop * f, finer) for (start, stop, _), f, finer in parts]
        return self._note(
            x[(*index[:2], *fine)], times(grid.stride, step), _over(times(grid.factor, stride), step), grid.local
        )

    def _flattened(self, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor | None:
        """One row an image, for a linear layer that knows how many cells there are; None for any other reshaping."""
        try:
            result: Tensor = func(self._fold(x), *args, **kwargs)
        except RuntimeError:  # a shape computed from the finer map
            return None
        return result if result.ndim == 2 or self.grid(x).built == ONE else None

    def _fold(self, x: Tensor) -> Tensor:
        """The mean of the interleaved maps, as large as the map as built."""
        grid = self.grid(x)
        return x if grid.factor == ONE else F.avg_pool2d(x, grid.factor, ceil_mode=True)

    def _resized(self, result: Tensor, before: Grid) -> Tensor:
        (h, w), (jy, jx) = before.built, times(before.stride, before.factor)
        stride = (max(1, jy * h // result.shape[2]), max(1, jx * w // result.shape[3]))
        self._grids[result] = Grid(_size(result), stride, ONE, before.local and before.factor == ONE)
        return result

    def _step(self, stride: Pair, grid: Grid) -> Pair:
        """The largest part of a stride that leaves the map as fine as it has to be."""
        y, x = (
            max(part for part in range(1, s + 1) if s % part == 0 and (part == 1 or j * part <= finest))
            for s, j, finest in zip(stride, grid.stride, self._finest, strict=True)
        )
        return y, x

    def _note(self, result: Tensor, stride: Any, factor: Pair, local: bool) -> Tensor:
        self._grids[result] = Grid(_size(result), stride, factor, local)
        return result

    def _cropped(self, given: Any) -> Any:
        """Maps that meet, a block's and its shortcut's say, may differ in the cells behind the last as built."""
        maps = [leaf for leaf in tree_leaves(given) if self._on_grid(leaf) and self.grid(leaf).factor != ONE]
        grids = [self.grid(leaf) for leaf in maps]
        if len({grid.size for grid in grids}) < 2 or len({grid.built for grid in grids}) > 1:
            return given
        h, w = (min(grid.size[axis] for grid in grids) for axis in (0, 1))

        def crop(leaf: Any) -> Any:
            if not any(leaf is map for map in maps):
                return leaf
            grid = self.grid(leaf)
            return self._note(leaf[:, :, :h, :w], grid.stride, grid.factor, grid.local)

        return tree_map(crop, given)

    def _on_grid(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.ndim == 4 and _size(value) == self.grid(value).size

    def _pass_on(self, name: str, result: Any, given: Any) -> Any:
        """Everything else keeps rows and columns where they are, or loses them."""
        known = [(t, self._grids[t]) for t in tree_leaves(given) if isinstance(t, Tensor) and t in self._grids]
        for output in tree_leaves(result) if known else ():
            if isinstance(output, Tensor):
                self._grids[output] = _merged(name, known, output)
        return result


def _merged(name: str, known: Sequence[tuple[Tensor, Grid]], output: Tensor) -> Grid:
    """The finest of those whose map the result still has."""
    fitting = [(tensor, grid) for tensor, grid in known if grid.axes(output)]
    tensor, grid = max(fitting or known, key=lambda entry: math.prod(entry[1].factor))
    local = all(grid.local for _, grid in known)
    if grid.factor == ONE:
        place = None if name in _PERMUTING or output.ndim != tensor.ndim else grid.axes(tensor)
        size = (output.shape[place[0]], output.shape[place[1]]) if place else grid.size
        return replace(grid, size=size, local=local)
    kept = fitting or math.prod(grid.size) in output.shape
    return replace(grid, local=local and bool(kept) and name not in _MIXING)


_RESIZING = {
    "interpolate", "upsample", "conv_transpose2d", "pixel_shuffle", "pixel_unshuffle", "grid_sample", "unfold",
    "im2col", "lp_pool2d", "fractional_max_pool2d", "max_unpool2d",
}  # fmt: skip
_POOLING = {"adaptive_avg_pool2d", "adaptive_max_pool2d"}
_FLATTENING = {"flatten", "reshape", "view", "squeeze"}
_PERMUTING = {"permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims"}
_MIXING = {"matmul", "bmm", "baddbmm", "einsum", "scaled_dot_product_attention", "group_norm", "instance_norm"}
"""What looks at a map as a whole and keeps its shape."""


def _size(tensor: Tensor) -> Pair:
    return (tensor.shape[-2], tensor.shape[-1]) if tensor.ndim > 1 else ONE


def _over(a: Pair, b: Pair) -> Pair:
    return a[0] // b[0], a[1] // b[1]

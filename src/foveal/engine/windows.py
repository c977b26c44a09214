"""Operations that look through a window, and the same operations on a finer map."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from jaxtyping import Float

Pair: TypeAlias = tuple[int, int]
"""(y, x)."""

ONE: Pair = (1, 1)
NONE: Pair = (0, 0)


@dataclass(frozen=True)
class Window:
    """What one cell looks at.

    Attributes:
        kernel: cells it sees.
        stride: cells from one window to the next.
        dilation: from one cell it sees to the next.
        before, after: padding.
        ceil: whether a last window may reach beyond the padding.
        beyond: how far it does.
    """

    kernel: Pair
    stride: Pair = ONE
    dilation: Pair = ONE
    before: Pair = NONE
    after: Pair = NONE
    ceil: bool = False
    beyond: Pair = NONE

    @property
    def border(self) -> tuple[int, int, int, int]:
        """All that has to be there around the map, as `F.pad` wants it."""
        (top, left), (bottom, right), (below, aside) = self.before, self.after, self.beyond
        return (left, right + aside, top, bottom + below)

    def cells(self, size: Pair) -> Pair:
        """(h, w) of what it makes of a map."""
        return self._cells(size, 0), self._cells(size, 1)

    def wider_than(self, size: Pair) -> bool:
        """Whether it does not fit into a map at all."""
        room = [size[axis] + self.before[axis] + self.after[axis] for axis in (0, 1)]
        return not self.ceil and any(self._reach(axis) > room[axis] for axis in (0, 1))

    def refined(self, size: Pair, built: Pair, factor: Pair, step: Pair) -> Window:
        """The same on a map of `size`, `factor` times finer than the one `built`, in steps of its finer cells."""
        wide = replace(
            self,
            stride=step,
            dilation=times(self.dilation, factor),
            before=times(self.before, factor),
            after=times(self.after, factor),
            ceil=False,
        )
        # The last cell as built has to be there, also where its window reaches beyond the padding.
        sides = zip(self.cells(built), wide.cells(size), times(self.stride, factor), step, strict=True)
        return replace(wide, beyond=pair([max(0, ((n - 1) * s // t + 1 - cells) * t) for n, cells, s, t in sides]))

    def _reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def _cells(self, size: Pair, axis: int) -> int:
        padded = size[axis] + self.before[axis] + self.after[axis] + self.beyond[axis]
        room, stride = padded - self._reach(axis), self.stride[axis]
        if not self.ceil:
            return room // stride + 1
        count = -(-room // stride) + 1
        # A window that would begin in the padding behind the map is left out.
        return count - 1 if (count - 1) * stride >= size[axis] + self.before[axis] else count


Apply: TypeAlias = Callable[[Tensor, Window], Tensor]
Read: TypeAlias = tuple[Tensor, Window, Apply]
"""The map an operation looks at, its window, and how to do the same through another window."""


def conv2d(
    func: Any, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Read:  # fmt: skip
    """The map (n, c, h, w) a convolution looks at, its window, and the same convolution through another."""
    kernel, dilation = pair(weight.shape[2:]), pair(dilation)
    before, after = _padding(padding, kernel, dilation)

    def apply(x: Tensor, window: Window) -> Tensor:
        if window.before == window.after:
            return func(x, weight, bias, window.stride, window.before, window.dilation, groups)  # type: ignore[no-any-return]
        x = F.pad(x, window.border)
        return func(x, weight, bias, window.stride, 0, window.dilation, groups)  # type: ignore[no-any-return]

    return input, Window(kernel, pair(stride), dilation, before, after), apply


def max_pool2d(
    func: Any, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Read:  # fmt: skip
    """The map (n, c, h, w) max pooling looks at, its window, and the same through another; padding never wins."""
    border = pair(padding)

    def apply(x: Tensor, window: Window) -> Tensor:
        x = F.pad(x, window.border, value=-math.inf) if any(window.border) else x
        return func(x, window.kernel, window.stride, 0, window.dilation)  # type: ignore[no-any-return]

    stride = pair(stride or kernel_size)
    return input, Window(pair(kernel_size), stride, pair(dilation), border, border, ceil_mode), apply


def avg_pool2d(
    func: Any, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Read:  # fmt: skip
    """The map (n, c, h, w) average pooling looks at, its window, and the same through another."""
    border = pair(padding)
    apply = partial(_average, count_padding=count_include_pad, divisor=divisor_override)
    stride = pair(stride or kernel_size)
    return input, Window(pair(kernel_size), stride, ONE, border, border, ceil_mode), apply


WINDOWS: dict[str, Callable[..., Read]] = {"conv2d": conv2d, "max_pool2d": max_pool2d, "avg_pool2d": avg_pool2d}


def pair(value: Any) -> Pair:
    """(y, x) of what torch takes as a number or a pair."""
    values = (value,) if isinstance(value, int) else tuple(int(side) for side in value)
    return values[0], values[-1]


def _average(
    x: Float[Tensor, "n c h w"], window: Window, *, count_padding: bool, divisor: int | None
) -> Float[Tensor, "n c h2 w2"]:
    """Σ over the window / how many cells count: torch has no average pooling with dilation."""
    (top, left), (bottom, right), (below, aside) = window.before, window.after, window.beyond
    counted = F.pad(x.new_ones(1, 1, *x.shape[2:]), (left, right, top, bottom), value=float(count_padding))
    ones = x.new_ones(x.shape[1], 1, *window.kernel)
    total = F.conv2d(F.pad(x, window.border), ones, None, window.stride, 0, window.dilation, x.shape[1])
    count = F.conv2d(F.pad(counted, (0, aside, 0, below)), ones[:1], None, window.stride, 0, window.dilation)
    return total / (count if divisor is None else divisor)


def _padding(padding: Any, kernel: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """What is added before and after, for numbers and for words."""
    if padding == "valid":
        return NONE, NONE
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        before = pair([t // 2 for t in total])
        return before, pair([t - b for t, b in zip(total, before, strict=True)])
    return pair(padding), pair(padding)


def times(a: Pair, b: Pair) -> Pair:
    """Axis by axis."""
    return a[0] * b[0], a[1] * b[1]

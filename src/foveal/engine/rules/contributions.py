"""What has weights, y = W x + b, forwards and transposed; and its contributions w x by their sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Sign: TypeAlias = Literal[1, -1]


@dataclass(frozen=True)
class Operation:
    """y = W x + b.

    Attributes:
        weight: with output channels first; W is this times `scale`.
        bias: one an output channel, or None.
        forward: (x, weight, bias) -> y.
        transposed: (s, weight, x) -> Wᵀ s, shaped like x.
        channel: the dimension of y that has the output channels.
        scale: one an output channel, or None.
    """

    weight: Tensor
    bias: Tensor | None
    forward: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    transposed: Callable[[Tensor, Tensor, Tensor], Tensor]
    channel: int
    scale: Tensor | None = None

    def scaled(self, scale: Tensor, shift: Tensor) -> Operation:
        """The same followed by scale ⊙ y + shift: a convolution with the batch normalization behind it."""
        return replace(self, scale=scale, bias=shift if self.bias is None else self.bias * scale + shift)

    def whole(self, factor: float = 1.0) -> Tensor:
        """W times a factor, in memory of its own."""
        if self.scale is None:
            return self.weight * factor
        scale = self.scale if factor == 1 else self.scale * factor
        return self.weight * scale.view(-1, *[1] * (self.weight.ndim - 1))

    def back(self, s: Tensor, x: Tensor, factor: float = 1.0) -> Tensor:
        """Wᵀ s times a factor, shaped like x; s is written over."""
        if self.scale is not None:  # there are fewer outputs than weights
            s = s.mul_((self.scale * factor).view(-1, *[1] * (s.ndim - 1 - self.channel % s.ndim)))
        elif factor != 1:
            s = s.mul_(factor)
        return self.transposed(s, self.weight, x)

    def offsets(self, bias: Tensor, s: Tensor) -> Tensor:
        """Σ over positions of bias ⊙ s: (rows, channels)."""
        channel = self.channel % s.ndim
        positions = [dim for dim in range(1, s.ndim) if dim != channel]
        return bias * (s.sum(positions) if positions else s)


class Contributions:
    """The contributions w x to y = W x + b: those of one sign weigh `whole` + `part`, the others `whole`.

        W of a sign   whole · W + part · W⁺ (or W⁻), on inputs above zero; of the other sign on those below
        z of a sign   Σ of the contributions so weighed
        z⁺ + z⁻ = (2 · whole + part) · y

    so that of two z the second needs no pass, but a subtraction, and of two W the second is not needed. Rounding is
    left alone by this where the second is asked for at outputs of its own sign, and grows without bound elsewhere.

    Args:
        op: the operation.
        x: its input.
        y: its output where relevance is shared by subtraction; else None.
        whole: the weight of every contribution.
        part: the weight that those of one sign have in addition.
        bias: whether the bias is one of the inputs.
    """

    def __init__(self, op: Operation, x: Tensor, y: Tensor | None, *, whole: float, part: float, bias: bool) -> None:
        self._op, self._x, self._whole, self._part = op, x, whole, part
        self._y = y if bias or op.bias is None else None
        self._bias = op.bias if bias else None
        self._signed = float(x.amin()) < 0
        self._weights: dict[Sign, Tensor] = {}
        self._biases: dict[Sign, Tensor] = {}
        self._sums: dict[Sign, Tensor] = {}

    def sums(self, sign: Sign) -> Tensor:
        """z of a sign."""
        if sign not in self._sums:
            known = self._sums.get(other(sign))
            if known is None or self._y is None:
                self._sums[sign] = self._forward(sign)
            else:
                self._sums[sign] = torch.sub(known, self._y, alpha=2 * self._whole + self._part).neg_()
        return self._sums[sign]

    def arrived(self, s: Mapping[Sign, Tensor], lose: Callable[[Tensor], None]) -> Tensor:
        """Σ over signs of Wᵀ s, which is written over; `lose` hears what arrives at the bias."""
        for sign, quotient in s.items():
            if (bias := self._bias_of(sign)) is not None:
                lose(self._op.offsets(bias, quotient))
        if self._y is not None and not self._signed and len(s) > 1:
            return self._back_from_one_sign(s)
        above = reduce(torch.add, (self._back(s[sign], sign) for sign in s))
        if not self._signed:
            return above
        below = reduce(torch.add, (self._back(s[sign], other(sign)) for sign in s))
        return positive(above, where=self._x) + (below - positive(below, where=self._x))

    def _forward(self, sign: Sign) -> Tensor:
        bias = self._bias_of(sign)
        if not self._signed:
            return self._op.forward(self._x, self._weight(sign), bias)
        z = self._op.forward(self._x.clamp(min=0), self._weight(sign), bias)
        return z.add_(self._op.forward(self._x.clamp(max=0), self._weight(other(sign)), None))

    def _back(self, s: Tensor, sign: Sign) -> Tensor:
        return self._op.transposed(s, self._weight(sign), self._x)

    def _back_from_one_sign(self, s: Mapping[Sign, Tensor]) -> Tensor:
        """As the weights of both signs add up to (2 · whole + part) · W, it needs no weights of the second."""
        (sign, first), (_, second) = s.items()
        return self._back(first - second, sign) + self._op.back(second, self._x, 2 * self._whole + self._part)

    def _weight(self, sign: Sign) -> Tensor:
        if sign not in self._weights:
            self._weights[sign] = self._favored(self._op.whole, sign)
        return self._weights[sign]

    def _bias_of(self, sign: Sign) -> Tensor | None:
        if self._bias is not None and sign not in self._biases:
            self._biases[sign] = self._favored(self._bias.mul, sign)
        return self._biases.get(sign)

    def _favored(self, times: Callable[[float], Tensor], sign: Sign) -> Tensor:
        """Entries of one sign times `whole` + `part`, the others times `whole`; `times` takes one of these factors."""
        favored = self._whole + self._part
        above, below = (favored, self._whole) if sign > 0 else (self._whole, favored)
        return F.leaky_relu_(times(above), below / above) if above else times(below).clamp_(max=0)


def positive(values: Tensor, *, where: Tensor) -> Tensor:
    """`values` where the other is above zero, and 0 elsewhere; many times faster than `torch.where`."""
    chosen: Tensor = torch.ops.aten.threshold_backward(values, where, 0)
    return chosen


def split(R: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
    """R where y > 0, and R elsewhere, or None where that is nothing, as behind a ReLU."""
    if float(y.amin()) >= 0:
        return R, None
    up = positive(R, where=y)
    down = R - up
    return (up, down) if any(map(float, down.aminmax())) else (R, None)


def other(sign: Sign) -> Sign:
    """The other sign."""
    return -1 if sign > 0 else 1

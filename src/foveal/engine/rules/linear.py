"""What has weights: y = W x + b, forwards, transposed, and the rules that share relevance among its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Operation:
    """y = W x + b.

    Attributes:
        weight: with output channels first.
        bias: one an output channel, or None.
        forward: (x, weight, bias) -> y.
        transposed: (s, weight, x) -> Wᵀ s, shaped like x.
        channel: the dimension of y that has the output channels.
    """

    weight: Tensor
    bias: Tensor | None
    forward: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    transposed: Callable[[Tensor, Tensor, Tensor], Tensor]
    channel: int

    def scaled(self, scale: Tensor, shift: Tensor) -> Operation:
        """The same followed by scale ⊙ y + shift: a convolution with the batch normalization behind it."""
        weight = self.weight * scale.view(-1, *[1] * (self.weight.ndim - 1))
        return replace(self, weight=weight, bias=shift if self.bias is None else self.bias * scale + shift)

    def offsets(self, bias: Tensor, s: Tensor) -> Tensor:
        """Σ over positions of bias ⊙ s: (rows, channels)."""
        channel = self.channel % s.ndim
        positions = [dim for dim in range(1, s.ndim) if dim != channel]
        return bias * (s.sum(positions) if positions else s)


@dataclass(frozen=True)
class LinearRule:
    """How an output's relevance R = y ⊙ G is shared among the inputs of y = W x + b (Bach et al. 2015).

        epsilon     R_i = Σ_j x_i w_ij / (y_j + ε sign y_j) R_j, ε in units of the layer's mean |y|
        gamma       the same with w + γ w⁺ where y > 0, and w + γ w⁻ where y < 0   (Montavon et al. 2019, signed form)
        zplus       R_i = Σ_j (x_i w_ij)⁺ / Σ_i (x_i w_ij)⁺ R_j
        alphabeta   α times that, less (α − 1) times the same of the negative parts

    A bias is an input of value 1: what falls to it is lost to the picture, and counted. `bias=False` leaves it out of
    the denominators, so that its share goes to the inputs.
    """

    kind: Literal["epsilon", "gamma", "zplus", "alphabeta"]
    epsilon: float = 1e-6
    gamma: float = 0.25
    alpha: float = 2.0
    bias: bool = True

    def stabilizer(self, y: Tensor) -> Tensor | None:
        """ε for this output. Taken in the forward, before an operation in place may write into y."""
        # Relative to the layer, or the rule would swallow all relevance where activations happen to be small.
        return self.epsilon * y.abs().mean(list(range(1, y.ndim)), keepdim=True) if self.kind == "epsilon" else None

    def pullback(
        self,
        op: Operation,
        x: Tensor,
        y: Tensor,
        G: Tensor,
        lose: Callable[[Tensor], None],
        epsilon: Tensor | None = None,
    ) -> Tensor:
        """What arrives at x in place of Wᵀ G; `lose` hears the relevance that arrives nowhere.

        A ReLU in place may have written into y since: where it did, G is zero.
        """
        R = y * G
        if self.kind == "epsilon":
            epsilon = self.stabilizer(y) if epsilon is None else epsilon
            assert epsilon is not None
            return self._epsilon(op, x, y, R, lose, epsilon)
        if self.kind == "gamma":
            return self._gamma(op, x, y, R, lose)
        if self.kind == "zplus":
            return self._share(op, x, R, 1, lose)
        return self._share(op, x, self.alpha * R, 1, lose) + self._share(op, x, (1 - self.alpha) * R, -1, lose)

    def _epsilon(
        self, op: Operation, x: Tensor, y: Tensor, R: Tensor, lose: Callable[[Tensor], None], epsilon: Tensor
    ) -> Tensor:
        z = y if op.bias is None or self.bias else op.forward(x, op.weight, None)
        s = _finite(R / (z + torch.copysign(epsilon, z)))
        lose(R - s * z)
        if op.bias is not None and self.bias:
            lose(op.offsets(op.bias, s))
        return op.transposed(s, op.weight, x)

    def _gamma(self, op: Operation, x: Tensor, y: Tensor, R: Tensor, lose: Callable[[Tensor], None]) -> Tensor:
        """w + γ w⁺ where the output is positive; where it is negative, the parts that make it so."""
        negative = torch.where(y < 0, R, 0)
        if not bool(negative.any()):  # behind a ReLU there is none
            return self._part(op, x, R, 1, lose, whole=1, part=self.gamma)
        up = self._part(op, x, R - negative, 1, lose, whole=1, part=self.gamma)
        return up + self._part(op, x, negative, -1, lose, whole=1, part=self.gamma)

    def _share(self, op: Operation, x: Tensor, R: Tensor, sign: int, lose: Callable[[Tensor], None]) -> Tensor:
        """R shared among the contributions of one sign."""
        return self._part(op, x, R, sign, lose, whole=0, part=1)

    def _part(
        self,
        op: Operation,
        x: Tensor,
        R: Tensor,
        sign: int,
        lose: Callable[[Tensor], None],
        *,
        whole: float,
        part: float,
        again: bool = True,
    ) -> Tensor:
        """R shared by contributions, those of one sign weighing `whole` + `part`, the others `whole`.

        Outputs with nothing to share by share among the contributions of the other sign, so that nothing is lost.
        """

        def favored(weight: Tensor, sign: int) -> Tensor:
            clamped = weight.clamp(min=0) if sign > 0 else weight.clamp(max=0)
            return clamped if whole == 0 else clamped.mul_(part).add_(weight, alpha=whole)

        like = favored(op.weight, sign)
        b = favored(op.bias, sign) if self.bias and op.bias is not None else None
        signed = bool(x.amin() < 0)
        z = op.forward(x.clamp(min=0) if signed else x, like, b)
        if signed:
            unlike = favored(op.weight, -sign)
            z += op.forward(x.clamp(max=0), unlike, None)
        s = R / z
        nowhere = torch.isinf(s)
        s = _finite(s)
        if b is not None:
            lose(op.offsets(b, s))
        arrived = op.transposed(s, like, x)
        if signed:
            arrived = torch.where(x > 0, arrived, op.transposed(s, unlike, x))
        if not bool(nowhere.any()):
            return arrived
        rest = torch.where(nowhere, R, 0)
        if again:
            return arrived + self._part(op, x, rest, -sign, lose, whole=whole, part=part, again=False)
        lose(rest)
        return arrived


def _finite(s: Tensor) -> Tensor:
    """0 where there was nothing to share, or nothing to share by."""
    return s.nan_to_num_(0, 0, 0)


def same_sign(parts: list[Tensor], y: Tensor, G: Tensor) -> list[Tensor]:
    """Of a sum y = Σ parts, only the parts that go y's way keep its relevance: a factor for the gradient of each."""
    agrees = [part * y > 0 for part in parts]
    total = sum((part * agree for part, agree in zip(parts, agrees, strict=True)), torch.zeros_like(y))
    s = _finite(y * G / total)
    return [s * agree for agree in agrees]

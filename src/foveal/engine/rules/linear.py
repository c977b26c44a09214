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
        """The same followed by scale ⊙ y + shift: a convolution with the batch normalisation behind it."""
        weight = self.weight * scale.view(-1, *[1] * (self.weight.ndim - 1))
        return replace(self, weight=weight, bias=shift if self.bias is None else self.bias * scale + shift)

    def across(self, vector: Tensor, y: Tensor) -> Tensor:
        """A vector over output channels, shaped to go with y."""
        shape = [1] * y.ndim
        shape[self.channel] = -1
        return vector.view(shape)


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

    def pull(self, op: Operation, x: Tensor, y: Tensor, G: Tensor, lose: Callable[[Tensor], None]) -> Tensor:
        """What arrives at x in place of Wᵀ G; `lose` hears the relevance that arrives nowhere."""
        R = y * G
        if self.kind == "alphabeta":
            favour, kept = _share(op, x, R, 1, bias=self.bias)
            against, given = _share(op, x, R, -1, bias=self.bias)
            lose(R - self.alpha * kept + (self.alpha - 1) * given)
            return self.alpha * favour - (self.alpha - 1) * against
        if self.kind == "zplus":
            favour, kept = _share(op, x, R, 1, bias=self.bias)
            lose(R - kept)
            return favour
        if self.kind == "gamma":
            return self._gamma(op, x, y, R, lose)
        return self._epsilon(op, x, y, R, lose)

    def _epsilon(self, op: Operation, x: Tensor, y: Tensor, R: Tensor, lose: Callable[[Tensor], None]) -> Tensor:
        b = None if op.bias is None else op.across(op.bias, y)
        z = y if b is None or self.bias else y - b
        # Relative to the layer, or the rule would swallow all relevance where activations happen to be small.
        epsilon = self.epsilon * z.abs().mean(list(range(1, z.ndim)), keepdim=True)
        s = _over(R, torch.where(z < 0, z - epsilon, z + epsilon))
        lose(R - s * (z if b is None or not self.bias else z - b))
        return op.transposed(s, op.weight, x)

    def _gamma(self, op: Operation, x: Tensor, y: Tensor, R: Tensor, lose: Callable[[Tensor], None]) -> Tensor:
        """w + γ w⁺ where the output is positive; where it is negative, the parts that make it so."""
        total = torch.zeros_like(x)
        left = R
        for sign in (1, -1):
            mine = torch.where(y * sign > 0, R, 0)
            if sign < 0 and not bool(mine.any()):  # behind a ReLU there is none
                continue
            favoured, extra = _parts(op, x, sign, bias=self.bias)
            z = (y if self.bias or op.bias is None else y - op.across(op.bias, y)) + self.gamma * extra
            s = _over(mine, z)
            total = total + op.transposed(s, op.weight, x) + self.gamma * favoured(s)
            left = left - s * (z if op.bias is None or not self.bias else z - self._biases(op, y, sign))
        lose(left)
        return total

    def _biases(self, op: Operation, y: Tensor, sign: int) -> Tensor:
        assert op.bias is not None
        return op.across(op.bias + self.gamma * sign * (sign * op.bias).relu(), y)


def _share(op: Operation, x: Tensor, R: Tensor, sign: int, *, bias: bool) -> tuple[Tensor, Tensor]:
    """R shared among the contributions of one sign: what arrives at x, and how much of each R_j did.

    Outputs without a contribution of that sign share among those of the other, so that nothing is lost.
    """
    arrived, kept = _shared(op, x, R, sign, bias=bias)
    left = torch.where(kept[1] == 0, R, 0)
    if not bool(left.any()):
        return arrived, kept[0]
    rest, more = _shared(op, x, left, -sign, bias=bias)
    return arrived + rest, kept[0] + more[0]


def _shared(op: Operation, x: Tensor, R: Tensor, sign: int, *, bias: bool) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    favoured, z = _parts(op, x, sign, bias=bias)
    s = _over(R, z)
    kept = s * z if op.bias is None or not bias else s * (z - sign * op.across((sign * op.bias).relu(), z))
    return favoured(s), (kept, z)


def _parts(op: Operation, x: Tensor, sign: int, *, bias: bool) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The sum of all contributions x_i w_ij (and b_j) of one sign, and the way back from it to x."""
    like = sign * (sign * op.weight).relu()
    b = sign * (sign * op.bias).relu() if bias and op.bias is not None else None
    if bool(x.amin() >= 0):
        return (lambda s: op.transposed(s, like, x)), op.forward(x, like, b)
    unlike = op.weight - like
    up, down = x.relu(), -(-x).relu()
    z = op.forward(up, like, b) + op.forward(down, unlike, None)
    return (lambda s: torch.where(x > 0, op.transposed(s, like, x), op.transposed(s, unlike, x))), z


def _over(R: Tensor, z: Tensor) -> Tensor:
    return torch.where(z == 0, 0, R / torch.where(z == 0, 1, z))


def same_sign(parts: list[Tensor], y: Tensor, G: Tensor) -> list[Tensor]:
    """Of a sum y = Σ parts, only the parts that go y's way keep its relevance: a factor for the gradient of each."""
    with_it = [torch.where(part * y > 0, part, 0) for part in parts]
    total = sum(with_it[1:], with_it[0])
    s = _over(y * G, total)
    return [torch.where(part == 0, 0, s) for part in with_it]

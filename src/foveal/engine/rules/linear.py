"""What has weights, y = W x + b: the rules that share its relevance among its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import torch
from torch import Tensor

from foveal.engine.rules.contributions import Contributions, Operation, Sign, other, positive, split


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
            return self._epsilon(op, x, y, R, lose, self.stabilizer(y) if epsilon is None else epsilon)
        return self._by_sign(op, x, y, R, lose)

    def _epsilon(
        self, op: Operation, x: Tensor, y: Tensor, R: Tensor, lose: Callable[[Tensor], None], epsilon: Tensor | None
    ) -> Tensor:
        assert epsilon is not None
        z = y if op.bias is None or self.bias else op.forward(x, op.whole(), None)
        s = _finite(R / (z + torch.copysign(epsilon, z)))
        lose(R - s * z)
        if op.bias is not None and self.bias:
            lose(op.offsets(op.bias, s))
        return op.back(s, x)

    def _by_sign(self, op: Operation, x: Tensor, y: Tensor, R: Tensor, lose: Callable[[Tensor], None]) -> Tensor:
        """What is in favor and what is against, each with a share of R."""
        whole, part, known = 0.0, 1.0, True
        shares: dict[Sign, tuple[Tensor, float]] = {1: (R, 1.0)}
        if self.kind == "gamma":  # w + γ w⁺ where y > 0, and where y < 0 the parts that make it so
            whole, part = 1.0, self.gamma
            up, down = split(R, y)
            shares = {1: (up, 1.0)} if down is None else {1: (up, 1.0), -1: (down, 1.0)}
        elif self.kind == "alphabeta":
            shares = {-1: (R, 1 - self.alpha), 1: (R, self.alpha)}
            known = split(R, y)[1] is None
        parts = Contributions(op, x, y if known else None, whole=whole, part=part, bias=self.bias)
        quotients: dict[Sign, Tensor] = {}
        for sign, (share, factor) in shares.items():
            for way, s in _quotients(parts, sign, share, factor, lose):
                quotients[way] = quotients[way].add_(s) if way in quotients else s
        return parts.arrived(quotients, lose)


def _quotients(
    parts: Contributions, sign: Sign, R: Tensor, factor: float, lose: Callable[[Tensor], None]
) -> Iterator[tuple[Sign, Tensor]]:
    """R / z of a sign, times a factor.

    Outputs with nothing to share by share among the contributions of the other sign, so that nothing is lost.
    """
    s = R / parts.sums(sign)
    if isfinite(s.sum()):
        yield sign, s if factor == 1 else s.mul_(factor)
        return
    nowhere = torch.isinf(s)
    yield sign, _finite(s) if factor == 1 else _finite(s).mul_(factor)
    if bool(nowhere.any()):
        rest = torch.where(nowhere, R * factor, 0)
        s = rest / parts.sums(other(sign))
        lose(torch.where(torch.isinf(s), rest, 0))
        yield other(sign), _finite(s)


def _finite(s: Tensor) -> Tensor:
    """0 where there was nothing to share, or nothing to share by."""
    return s.nan_to_num_(0, 0, 0)


def same_sign(parts: list[Tensor], y: Tensor, G: Tensor) -> list[Tensor]:
    """Of a sum y of two parts, only those that go y's way keep its relevance: a factor for the gradient of each."""
    a, b = parts
    if float(y.amin()) >= 0:  # behind a ReLU; what it set to 0 has no relevance
        ways, total = parts, torch.maximum(y, a)  # y where both go up, else the one that does
        total = torch.maximum(total, b, out=total)
    else:
        ways = [part * y for part in parts]
        total = positive(a, where=ways[0]).add_(positive(b, where=ways[1]))
    s = _finite((y * G).div_(total))
    return [positive(s, where=way) for way in ways]

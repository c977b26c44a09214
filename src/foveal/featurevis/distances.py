"""How far pooled features are from their target, each on a scale where features times a constant give the same.

    l2           ‖u − a‖² / ‖a‖²
    cosine       1 − cos(u, a)
    l1, charbonnier, huber     β m² / ‖a_S‖² · Σ ρ((u − a) / m), m the largest informative activation, β = 2, and
                 ρ(v) = |v|;  √(v² + 1) − 1;  v²/2 up to 1, |v| − ½ beyond

The last three have linear tails: their pull is at most β m, that of activation maximisation a_c, so with a weight
above ½ the optimum is finite: u_c = a_c + m r / √(1 − r²) for charbonnier, r = a_c / (β λ_d m).

(Stergiou, ICIP 2021, arXiv:2101.12447. Specification: minds_eye, sections 3.5 and 4.1. Charbonnier is the general
robust loss at α = 1; Barron, CVPR 2019.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float

DistanceName: TypeAlias = "Literal['l2', 'l1', 'charbonnier', 'huber', 'cosine']"
Distance: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(features (k, c), target (c,), informative channels (s,)) -> (k,)."""

STRENGTH = 2.0  # of a linear tail, against the strongest pull of activation maximisation
TINY = 1e-30


def l2(u: Float[Tensor, "k c"], a: Float[Tensor, " c"], channels: Tensor) -> Float[Tensor, " k"]:
    """Squared Euclidean distance in units of the target: ‖u − a‖² / ‖a‖²."""
    return (u - a).square().sum(1) / a.square().sum().clamp(min=TINY)


def l1(u: Float[Tensor, "k c"], a: Float[Tensor, " c"], channels: Tensor) -> Float[Tensor, " k"]:
    """Absolute distance, with linear tails."""
    return _tailed(Tensor.abs, u, a, channels)


def charbonnier(u: Float[Tensor, "k c"], a: Float[Tensor, " c"], channels: Tensor) -> Float[Tensor, " k"]:
    """Charbonnier (pseudo-Huber) distance, smooth at zero and with linear tails."""
    return _tailed(pseudo_huber, u, a, channels)


def huber(u: Float[Tensor, "k c"], a: Float[Tensor, " c"], channels: Tensor) -> Float[Tensor, " k"]:
    """Huber distance, quadratic near zero and with linear tails."""
    return _tailed(lambda v: functional.huber_loss(v, v.new_zeros(()).expand_as(v), reduction="none"), u, a, channels)


def cosine(u: Float[Tensor, "k c"], a: Float[Tensor, " c"], channels: Tensor) -> Float[Tensor, " k"]:
    """One minus the cosine of features and target."""
    return 1 - functional.cosine_similarity(u, a[None], dim=1)


def pseudo_huber(v: Tensor) -> Tensor:
    """√(v² + 1) − 1."""
    return (v.square() + 1).sqrt() - 1


def _tailed(rho: Callable[[Tensor], Tensor], u: Tensor, a: Tensor, channels: Tensor) -> Tensor:
    """β Σ ρ((u − a)/m) m² / ‖a_S‖², m the largest informative activation: the pull on a channel is a_c m / ‖a_S‖²."""
    informative = a[channels]
    largest = informative.abs().max().clamp(min=TINY)
    return STRENGTH * rho((u - a) / largest).sum(1) / (informative / largest).square().sum().clamp(min=TINY)


DISTANCES: dict[DistanceName, Distance] = {
    "l2": l2, "l1": l1, "charbonnier": charbonnier, "huber": huber, "cosine": cosine,
}  # fmt: skip
TAILED: frozenset[DistanceName] = frozenset({"l1", "charbonnier", "huber"})

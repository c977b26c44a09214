"""Several maps of one decision made into one: of several layers, or of one layer at several scales.

Maps of different layers have different units, so each is first brought to [−1, 1] by its own largest absolute value,
image by image; zero stays zero and signs stay. The one with the most cells lends its resolution, the others are
interpolated to it (bilinear). With m_l the maps so prepared, at each cell:

    mean       1/L Σ_l m_l                        evidence of all layers, which may cancel
    product    ± (∏_l |m_l|)^(1/L)                the geometric mean where all agree in sign, 0 where they do not
    max        tanh(2 m_l), the one farthest from 0
                                                  LayerCAM's rule (Jiang et al., IEEE TIP 30, 2021, equation 9 with
                                                  γ = 2, and the maximum); there for maps ≥ 0, here for any
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from foveal.errors import ResultError

if TYPE_CHECKING:
    from jaxtyping import Float

GAMMA = 2.0


def fuse(maps: Sequence[Float[Tensor, "n h w"]], rule: str) -> Float[Tensor, "n h w"]:
    """One map in [−1, 1] at the resolution of the finest; maps may differ in size.

        fuse([torch.randn(2, 28, 28), torch.randn(2, 7, 7)], "mean").shape    # (2, 28, 28)

    Raises:
        ResultError: for a rule there is not.
    """
    if rule not in RULES:
        raise ResultError(f"Cannot fuse maps by {rule!r}: the rules are {', '.join(RULES)}.")
    size = max((tuple(map.shape[1:]) for map in maps), key=lambda side: side[0] * side[1])
    return RULES[rule](torch.stack([_resized(_unit(map), size) for map in maps]))


def mean(m: Float[Tensor, "l n h w"]) -> Float[Tensor, "n h w"]:
    """1/L Σ_l m_l."""
    return m.mean(0)


def product(m: Float[Tensor, "l n h w"]) -> Float[Tensor, "n h w"]:
    """± (∏_l |m_l|)^(1/L) where all m_l have one sign, else 0."""
    agreed = (m > 0).all(0).to(m.dtype) - (m < 0).all(0).to(m.dtype)
    # A root is not differentiable at 0, where the product is 0 anyway.
    size = torch.where(agreed == 0, 1, m.abs().prod(0))
    return agreed * size.pow(1 / len(m))


def largest(m: Float[Tensor, "l n h w"]) -> Float[Tensor, "n h w"]:
    """tanh(γ m_l) of the l for which it is farthest from 0."""
    scaled = torch.tanh(GAMMA * m)
    return scaled.gather(0, scaled.abs().argmax(0, keepdim=True))[0]


RULES: dict[str, Callable[[Tensor], Tensor]] = {"mean": mean, "product": product, "max": largest}


def _unit(map: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    size = map.abs().amax((1, 2), keepdim=True)
    return map / torch.where(size == 0, 1, size)


def _resized(map: Float[Tensor, "n h w"], size: tuple[int, ...]) -> Float[Tensor, "n h2 w2"]:
    if tuple(map.shape[1:]) == size:
        return map
    return F.interpolate(map[:, None], size, mode="bilinear", align_corners=False)[:, 0]

"""Which channels of a layer are informative for a facet. Specification: minds_eye, section 4.3.

top_mean   the largest of the target, as published
contrast   the largest (a_c − μ_c) / σ_c against other images: channels that are always on do not count
mass       the fewest that hold 80 % of the target
variance   the largest Fisher ratio: they vary little within the facet, and its mean lies far from the others'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import MethodError, UnknownMethod
from foveal.results.facet import Facet

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Rule: TypeAlias = "Literal['top_mean', 'contrast', 'mass', 'variance']"
SHARE = 0.8
USUAL = 50


def informative(
    z: Float[Tensor, "n c"],
    facet: Facet,
    rule: Rule | Sequence[int] = "top_mean",
    *,
    count: int | None = None,
    background: Float[Tensor, "m c"] | None = None,
) -> Int[Tensor, " s"]:
    """The informative channels, the strongest in the target first.

    Args:
        rule: how they are chosen, or the channels themselves.
        count: how many; None is 50, but no more than a quarter of the layer.
        background: what "contrast" and "variance" compare with; None is the rest of the set.

    Raises:
        MethodError: for an unknown rule, channels that do not exist, or nothing to compare with.
    """
    a = facet.mean(z)
    c = len(a)
    if not isinstance(rule, str):
        chosen = torch.as_tensor(list(rule), dtype=torch.long, device=a.device)
        if not len(chosen) or not bool(((chosen >= 0) & (chosen < c)).all()):
            raise MethodError(f"the layer has channels 0 to {c - 1}, but {list(rule)} were given")
        return _by_strength(a, chosen)
    count = min(c, count or min(USUAL, max(1, c // 4)))
    if rule == "mass":
        share = a.clamp(min=0).sort(descending=True).values.cumsum(0)
        count = int((share < SHARE * share[-1]).sum()) + 1
        return a.topk(min(count, c)).indices
    if rule == "top_mean":
        return a.topk(count).indices
    others = background if background is not None else _rest(z, facet)
    if rule == "contrast":
        return _by_strength(a, ((a - others.mean(0)) / _spread(others)).topk(count).indices)
    if rule == "variance":
        own = z[list(facet.members)]
        within = (own.var(0, correction=0) + others.var(0, correction=0)).clamp(min=1e-12)
        return _by_strength(a, ((own.mean(0) - others.mean(0)).square() / within).topk(count).indices)
    raise UnknownMethod(
        f"channels={rule!r} is unknown: give top_mean, contrast, mass, variance, or numbers of channels"
    )


def _rest(z: Tensor, facet: Facet) -> Tensor:
    kept = torch.ones(len(z), dtype=torch.bool)
    kept[list(facet.members)] = False
    if not bool(kept.any()):
        raise MethodError("the rule needs background images to compare with: give them, or choose top_mean")
    return z[kept.to(z.device)]


def _spread(z: Tensor) -> Tensor:
    deviation = z.std(0, correction=0)
    return deviation + 0.01 * deviation.mean() + 1e-12


def _by_strength(a: Tensor, channels: Tensor) -> Tensor:
    return channels[a[channels].argsort(descending=True, stable=True)]

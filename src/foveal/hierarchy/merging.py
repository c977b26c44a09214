"""Channels that contribute in the same places, as one. Specification: gAP, section 5.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int

LEVEL = 0.4  # of a channel's maximum, above which a cell belongs to it
ALIKE = 0.4  # intersection over union from which two channels are one


def merged(R: Float[Tensor, "c y x"], order: Int[Tensor, " c"]) -> list[list[int]]:
    """Groups of channels, each led by its strongest, in the order of the leaders; without those that have no mass."""
    top = R.amax((1, 2))
    rest = [int(k) for k in order if float(top[int(k)]) > 0]
    mask = (R / top.clamp(min=1e-30)[:, None, None] > LEVEL).flatten(1).float()
    groups = []
    while rest:
        leader, *others = rest
        both = mask[others] @ mask[leader]
        either = mask[others].sum(1) + mask[leader].sum() - both
        alike = (both / either.clamp(min=1)) >= ALIKE
        groups.append([leader, *(k for k, same in zip(others, alike.tolist(), strict=True) if same)])
        rest = [k for k, same in zip(others, alike.tolist(), strict=True) if not same]
    return groups

"""Images in which the evidence that a group shares is hidden.

Hidden is, in each image, the least area that holds most of the evidence of the group's channels. There the image gets
the pixels that other images of the class, outside of the group, have at that place: whatever most images of the class
show stays, and what only the group shows goes. The same is done to the other images, with their own evidence of the
same channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.metrics.curves import ranks

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

HOLDS = 0.97
"""The share of the evidence that is hidden."""
LEAST, MOST = 0.02, 0.99
"""The hidden area is no smaller and no larger a share of the image."""
DONORS = 2


def without_evidence(
    x: Float[Tensor, "n c h w"], evidence: Float[Tensor, "n h w"], inside: int, random: np.random.Generator
) -> tuple[list[Float[Tensor, "n c h w"]], float]:
    """Images with pixels of others where their evidence lies, by several donors, and the share that is hidden.

    Args:
        x: the first `inside` are those of the group.
        evidence: not negative.
    """
    where, area = _hidden_area(evidence)
    altered = []
    for _ in range(DONORS):
        donors = torch.tensor([_donor(i, inside, len(x), random) for i in range(len(x))])
        altered.append(torch.where(where[:, None], x[donors], x))
    return altered, area


def _donor(i: int, inside: int, count: int, random: np.random.Generator) -> int:
    """An image outside of the group, and another one than the image itself."""
    choices = [k for k in range(inside, count) if k != i]
    return int(random.choice(choices))


def _hidden_area(evidence: Float[Tensor, "n h w"]) -> tuple[Tensor, float]:
    """In each image where most evidence lies, as large an area in all (n, h, w), and its share of the image."""
    flat = evidence.flatten(1).double()
    held = flat.sort(1, descending=True).values.cumsum(1) / flat.sum(1, keepdim=True).clamp(min=1e-12)
    least = (held < HOLDS).double().mean(1)
    share = float(least[flat.sum(1) > 0].median().clamp(LEAST, MOST)) if bool((flat > 0).any()) else LEAST
    count = max(1, round(share * flat.shape[1]))
    where = torch.stack([ranks(map, seed=0) < count for map in evidence])
    return where, count / flat.shape[1]

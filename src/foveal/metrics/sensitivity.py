"""How far the explanation moves when the image hardly does.

    SENS = max over ‖δ‖∞ ≤ r of ‖Φ(x + δ) − Φ(x)‖₂ / ‖Φ(x)‖₂

(Yeh et al., NeurIPS 2019, arXiv:1901.09392; the division is the convention of the libraries.) Lower is steadier; an
explanation that never changes has 0 and may still be false. The largest of a few samples is less than the maximum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.errors import MethodError

if TYPE_CHECKING:
    from jaxtyping import Float

Explainer = Callable[[Tensor], Tensor]
"""Inputs (n, c, h, w) to maps (n, h', w')."""


def sensitivity(
    explain: Explainer,
    x: Float[Tensor, "1 c h w"],
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
    map: Float[Tensor, "h w"] | None = None,
) -> float:
    """The largest relative change of the map among `samples` neighbors, uniform within `radius`.

    Args:
        radius: in the network's units, in which an image's colors span about 4.
        map: of the image itself, where it is known.

    Returns NaN where the map is zero everywhere.
    """
    if samples < 1 or radius <= 0:
        raise MethodError(f"sensitivity needs at least one neighbor, and a radius above 0, not {samples} and {radius}")
    random = torch.Generator().manual_seed(seed)
    own = (explain(x)[0] if map is None else map).detach().double().cpu()
    size = float(own.norm())
    if size == 0:
        return math.nan
    noise = (2 * torch.rand((samples, *x.shape[1:]), generator=random, device="cpu") - 1) * radius
    moved = [explain(x + shift.to(x))[0].detach().double().cpu() for shift in noise.split(1)]
    return max(float((other - own).norm()) for other in moved) / size

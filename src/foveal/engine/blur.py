"""A Gaussian over the axes of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import conv1d, pad

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def blurred(A: Float[Tensor, "n c *space"], sigma: float) -> Float[Tensor, "n c *space"]:
    """A Gaussian of deviation `sigma` over each channel, axis after axis; the border repeats outside."""
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, device=A.device, dtype=torch.float64)
    kernel = (-(at**2) / (2 * max(sigma, 1e-6) ** 2)).exp()
    kernel = (kernel / kernel.sum()).to(A.dtype)
    for axis in range(2, A.ndim):
        lines = A.movedim(axis, -1)
        rows = pad(lines.reshape(-1, 1, lines.shape[-1]), (reach, reach), mode="replicate")
        A = conv1d(rows, kernel.view(1, 1, -1)).view(lines.shape).movedim(-1, axis)
    return A

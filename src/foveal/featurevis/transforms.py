"""Random views of an image: features that survive shifts, rotations and scaling do not depend on single pixels.

All transforms are one affine map and one resampling for the whole batch; outside of the image a view is gray.
Each image has its own random generator, so its views do not depend on the other images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float

GRAY = 0.5


@dataclass(frozen=True)
class Views:
    """The range of the random views.

    Attributes:
        shift: the largest shift in both directions, as a share of the side.
        scale: smallest and largest factor.
        turn: the largest rotation in both directions, in degrees.
        flip: whether half of the views are mirrored.
    """

    shift: float = 1 / 16
    scale: tuple[float, float] = (0.9, 1.1)
    turn: float = 10.0
    flip: bool = False

    @property
    def none(self) -> bool:
        """Whether views are the image itself."""
        return self.shift == 0 and self.scale == (1.0, 1.0) and self.turn == 0 and not self.flip

    def __call__(
        self, images: Float[Tensor, "k c h w"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "k c h w"]:
        """A view of each."""
        if self.none:
            return images
        h, w = images.shape[2:]
        theta = torch.stack([self._draw(generator, h / w) for generator in generators]).to(images)
        return functional.grid_sample(images - GRAY, grid_of(theta, (h, w)), align_corners=False) + GRAY

    def _draw(self, generator: torch.Generator, aspect: float) -> Float[Tensor, "2 3"]:
        """From the view's coordinates to the image's, both −1..1."""
        u = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
        low, high = self.scale
        zoom = 1 / (low + (high - low) * u[0])
        angle = math.radians(self.turn * (2 * u[1] - 1))
        mirror = -1.0 if self.flip and u[4] < 0.5 else 1.0
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        x, y = (2 * self.shift * (2 * v - 1) for v in u[2:4])
        return torch.tensor([[mirror * cos, -sin * aspect, x], [mirror * sin / aspect, cos, y]], dtype=torch.float64)


def grid_of(theta: Float[Tensor, "k 2 3"], size: tuple[int, int]) -> Float[Tensor, "k h w 2"]:
    """What `affine_grid` returns, with the two coordinates in planes: half of the time, also of the resampling."""
    y, x = ((2 * torch.arange(side, device=theta.device, dtype=theta.dtype) + 1) / side - 1 for side in size)
    rows = theta[:, :, 1, None] * y + theta[:, :, 2, None]
    return torch.addcmul(rows[..., None], theta[:, :, :1, None], x).permute(0, 2, 3, 1)


USUAL = Views()
STILL = Views(0.0, (1.0, 1.0), 0.0)

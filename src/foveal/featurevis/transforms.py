"""Random views of an image: what survives being moved, turned and scaled is no accident of single pixels.

All of it is one affine map and one resampling for the whole batch; where the view leaves the image it is gray.
Each image draws from a generator of its own, so that what it gets does not depend on the others.
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
    """How far views may differ.

    Attributes:
        shift: of the side, at most, either way.
        scale: smallest and largest.
        turn: degrees, at most, either way.
        flip: whether half of them are mirrored.
    """

    shift: float = 1 / 16
    scale: tuple[float, float] = (0.9, 1.1)
    turn: float = 10.0
    flip: bool = False

    @property
    def none(self) -> bool:
        """Whether nothing is moved at all."""
        return self.shift == 0 and self.scale == (1.0, 1.0) and self.turn == 0 and not self.flip

    def __call__(
        self, images: Float[Tensor, "k c h w"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "k c h w"]:
        """A view of each."""
        if self.none:
            return images
        h, w = images.shape[2:]
        theta = torch.stack([self._draw(generator, h / w) for generator in generators]).to(images)
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        return functional.grid_sample(images - GRAY, grid, mode="bilinear", align_corners=False) + GRAY

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


USUAL = Views()
STILL = Views(0.0, (1.0, 1.0), 0.0)

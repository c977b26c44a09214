"""A facet of a set of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Facet:
    """One kind of image in the set.

    Attributes:
        members: the images kept, nearest to the center first.
        weights: (len(members),), at least 0, sum to 1.
        size: how many images of the set belong to it, kept or not.
    """

    members: tuple[int, ...]
    weights: Float[Tensor, " m"]
    size: int

    def mean(self, values: Float[Tensor, "n ..."]) -> Float[Tensor, ...]:
        """Σ w_i v_i of what is known of each image of the set."""
        chosen = values[list(self.members)]
        mean: Tensor = torch.einsum("m,m...->...", self.weights.to(chosen), chosen)
        return mean

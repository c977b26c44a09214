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

    def to_html(self) -> str:
        """What a notebook shows, an HTML fragment: the images kept, by number, and their weights."""
        from foveal.render.fragment import table_fragment

        rows = [(str(i), f"{weight:.3f}") for i, weight in zip(self.members, self.weights.tolist(), strict=True)]
        return table_fragment(("image", "weight"), rows, title=str(self))

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        kept, of = len(self.members), f"{self.size} image{'s' * (self.size != 1)}"
        return f"facet of {of}" if kept == self.size else f"facet of {of}, of which {kept} make its target"

    __repr__ = __str__

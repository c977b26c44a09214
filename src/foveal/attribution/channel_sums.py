"""What each channel of a layer does in an image: how strong it gets, where, and what it brings to a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.attribution.passes import forward_backward

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.attribution.context import Context
    from foveal.targets import TargetScore


@dataclass(frozen=True, eq=False)
class ChannelSums:
    """The channels of one layer in n images.

    Attributes:
        A: (n, c, h, w), the activations.
        G: (n, c, h, w), the gradient of the score; None without a decision.
        verdict: the decision.
        notes: what a reader must know.
    """

    A: Float[Tensor, "n c h w"]
    G: Float[Tensor, "n c h w"] | None
    verdict: TargetScore | None
    notes: tuple[str, ...]

    @property
    def peaks(self) -> tuple[Float[Tensor, "n c"], Int[Tensor, "n c 2"]]:
        """The largest activation, and its row and column."""
        values, at = self.A.flatten(2).max(2)
        width = self.A.shape[3]
        return values, torch.stack([at // width, at % width], 2)

    @property
    def brings(self) -> Float[Tensor, "n c"] | None:
        """Σ over positions of G ⊙ A: a channel's share of HiResCAM, whose sum over channels is that map's sum."""
        return None if self.G is None else (self.G * self.A).flatten(2).sum(2)

    @property
    def largest(self) -> Float[Tensor, "n c"] | None:
        """The largest of G ⊙ A at any one position."""
        return None if self.G is None else (self.G * self.A).flatten(2).max(2).values


def channel_sums(context: Context, layer: str) -> ChannelSums:
    """One forward pass, and one backward pass to the layer where the context has a target.

    Raises:
        ModelError, LayerError, TargetError: when network, layer or decision do not fit.
    """
    decides = context.target is not None
    passed = forward_backward(context, [layer], gradient=decides, backward=decides)
    A, G = passed.activations[layer], passed.cotangents.get(layer)
    return ChannelSums(A, G, passed.verdict, tuple(passed.notes))

"""Which number of a stage a feature stands for. Specification: gAP, section 3.

neurons  y = Σ_{k ∈ S} A_{k i* j*}          one place, (i*, j*); S is one channel, or those merged into one
sums     y = Σ_{k ∈ S} Σ_ij A_kij           the channel wherever it is on
maps     y = Σ_{k ∈ S} Σ_ij m_ij A_kij      where it supports its parent, m = R / max R held fixed: every instance
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from foveal.results.feature_graph import Feature

NODES = ("neurons", "sums", "maps")


def weights_of(nodes: str, R: Float[Tensor, "h w"]) -> Float[Tensor, "h w"] | None:
    """m of a feature whose contributions are R, on the whole stage; None for a neuron."""
    if nodes == "neurons":
        return None
    return torch.ones_like(R) if nodes == "sums" else R.relu() / R.amax().clamp(min=1e-30)


def feature_values(features: Sequence[Feature], places: Int[Tensor, "k 2"]) -> Callable[[Tensor], Tensor]:
    """The number of each of k features, of its own map.

    Args:
        features: all neurons, or all with weights on the whole stage.
        places: where neurons are in what they are read off, which may be windows; NaN where there is no such place.
    """
    rows = torch.tensor([i for i, feature in enumerate(features) for _ in feature.channels])
    channels = torch.tensor([k for feature in features for k in feature.channels])

    def neurons(out: Float[Tensor, "k c h w"]) -> Float[Tensor, " r"]:
        y, x = (places[rows, axis].clamp(0, out.shape[2 + axis] - 1) for axis in (0, 1))
        missing = ((y != places[rows, 0]) | (x != places[rows, 1])).to(out.device)
        return torch.where(missing, torch.nan, out[rows, channels, y, x])

    def weighed(out: Float[Tensor, "k c h w"]) -> Float[Tensor, " r"]:
        m = torch.stack([feature.weights for feature in features if feature.weights is not None]).to(out)
        return (out[rows, channels] * m[rows]).sum((1, 2))

    def read(out: Float[Tensor, "k c h w"]) -> Float[Tensor, " k"]:
        each = neurons(out) if features[0].weights is None else weighed(out)
        return each.new_zeros(len(features)).index_add(0, rows.to(out.device), each)

    return read

"""The weights of the objectives."""

from __future__ import annotations

from dataclasses import dataclass

from foveal.featurevis.channels import Rule
from foveal.featurevis.distances import DistanceName
from foveal.featurevis.objectives import Form


@dataclass(frozen=True)
class ObjectiveWeights:
    """The weight of each term of a facet's objective; independent of the scale of features.

    Attributes:
        channels: rule for the informative channels, see `informative`.
        count: their number.
        activation: the form of activation maximization, see `excite`; None for none.
        power: exponent of "caricature".
        distance: distance to all pooled features of the facet.
        distance_weight: λ_d of the distance; a lower weight exaggerates more.
        sparsity: weight λ₁ of the penalty tensor.
        statistics: weight of the means and deviations of the stages before the layer, which should match the photos.
        smoothness: weight λ_tv of total variation.
        low_saturation: weight λ₂ of ‖x − ½‖².
        contrast: weight λ_c of the difference from the other facets.
        diversity: weight of the difference between seeds of one facet.
        spatial: weight of features at each position instead of pooled: inversion with exaggeration.
    """

    channels: Rule | tuple[int, ...] = "top_mean"
    count: int | None = None
    activation: Form | None = "dot"
    power: float = 1.0
    distance: DistanceName = "l2"
    distance_weight: float = 1.0
    sparsity: float = 0.05
    statistics: float = 10.0
    smoothness: float = 2.0
    low_saturation: float = 0.0
    contrast: float = 0.0
    diversity: float = 0.0
    spatial: bool = False

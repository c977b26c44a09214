"""How much of which objective."""

from __future__ import annotations

from dataclasses import dataclass

from foveal.featurevis.channels import Rule
from foveal.featurevis.distances import DistanceName
from foveal.featurevis.objectives import Form


@dataclass(frozen=True)
class ObjectiveWeights:
    """The weight of each term of the objective of a facet; free of the scale of features.

    Attributes:
        channels: how informative channels are chosen, see `informative`.
        count: how many of them.
        activation: the form of activation maximization, see `excite`; None for none.
        power: of "caricature".
        distance: to all pooled features of the facet.
        distance_weight: λ_d of it: less exaggerates more.
        sparsity: λ₁ of the penalty tensor.
        statistics: of the means and deviations of the stages before the layer, which are to be as in the photos.
        smoothness: λ_tv of total variation.
        low_saturation: λ₂ of ‖x − ½‖².
        contrast: λ_c, away from the other facets.
        diversity: of several seeds of one facet.
        spatial: features place by place instead of pooled: inversion with exaggeration.
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

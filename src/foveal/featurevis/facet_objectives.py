"""What is to be portrayed: the facets of a set at some layers, or single units, as objectives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import MethodError, UnknownMethod
from foveal.featurevis.channels import Rule, informative
from foveal.featurevis.distances import DistanceName
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.objectives import (
    Form,
    Objective,
    aligned,
    apart,
    diverse,
    excite,
    low_saturation,
    moments,
    near,
    smooth,
    sparse,
    typical,
)  # fmt: skip
from foveal.featurevis.parametrization import KINDS, Kind, Parametrization, Phase, at_size, parametrization_of
from foveal.featurevis.schedule import Size
from foveal.results.facet import Facet

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Start: TypeAlias = "Literal['mean', 'photo', 'noise'] | float"


@dataclass(frozen=True)
class ObjectiveWeights:
    """How much of what; weights are free of the scale of features.

    Attributes:
        channels, count: how informative channels are chosen, see `informative`.
        pull: activation maximisation, see `excite`; None for none.
        power: of "caricature".
        distance, fidelity: to all pooled features of the facet, and its weight λ_d: less exaggerates more.
        sparsity: λ₁ of the penalty tensor.
        statistics: of the means and deviations of the stages before the layer, which are to be as in the photos.
        smoothness: λ_tv. paleness: λ₂.
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


@dataclass(frozen=True, eq=False)
class FacetTask:
    """One facet at one layer.

    Attributes:
        target: (c,), a_b. channels: (s,), S_b.
        start: (c, h, w), what the image begins with; None for noise.
    """

    name: str
    layer: str
    facet: int
    target: Float[Tensor, " c"]
    channels: Int[Tensor, " s"]
    objective: Objective
    start: Float[Tensor, "c h w"] | None


@dataclass(eq=False)
class ImageSet:
    """The set as the network sees it: images in 0..1, and everything about them that objectives need, computed once."""

    network: FeatureNetwork
    images: Float[Tensor, "n c h w"]
    features: dict[str, Float[Tensor, "n c"]]
    background: dict[str, Float[Tensor, "m c"]] = field(default_factory=dict)
    _moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _strength: dict[str, Tensor] = field(default_factory=dict)

    def moments(self, layer: str) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c"]]:
        if layer not in self._moments:
            each = self.network.looks(self.images, (layer,), lambda seen: moments(seen.maps[layer]))
            means, spreads = zip(*each, strict=True)
            self._moments[layer] = torch.cat(means).detach(), torch.cat(spreads).detach()
        return self._moments[layer]

    def strength(self, layer: str) -> Float[Tensor, " n"]:
        if layer not in self._strength:
            self._strength[layer] = self.network.strength(self.images, layer).detach()
        return self._strength[layer]

    def map(self, layer: str, facet: Facet) -> Float[Tensor, "c h w"]:
        """The mean map of a facet's members."""
        maps = self.network.look(self.images[list(facet.members)], (layer,), gradient=False).maps[layer].detach()
        if maps.ndim != 4:
            raise MethodError(f"layer {layer!r} has no map to be compared place by place: leave out spatial")
        return torch.einsum("m,mchw->chw", facet.weights.to(maps), maps)


def tasks_of_facets(
    image_set: ImageSet,
    facets: Sequence[Facet],
    layers: Sequence[str],
    objective_weights: ObjectiveWeights,
    start: Start,
) -> list[FacetTask]:
    """Every facet at every layer."""
    found = []
    for layer in layers:
        z = image_set.features[layer]
        targets = [facet.mean(z) for facet in facets]
        for b, facet in enumerate(facets):
            S = informative(
                z,
                facet,
                objective_weights.channels,
                count=objective_weights.count,
                background=image_set.background.get(layer),
            )
            if not bool(targets[b][S].abs().sum() > 0):
                raise MethodError(f"nothing in layer {layer!r} responds to facet {b + 1}: choose another layer")
            J = _objective(image_set, facets, b, layer, targets, S, objective_weights)
            begin = start_image(image_set, facet, start)
            found.append(FacetTask(f"facet {b + 1} at {layer}", layer, b, targets[b], S, J, begin))
    return found


def start_image(image_set: ImageSet, facet: Facet, start: Start) -> Float[Tensor, "c h w"] | None:
    """The mean of the facet's photos, its most typical photo, or a grey value; None for noise."""
    if start == "noise":
        return None
    if start == "mean":
        return facet.mean(image_set.images)
    if start == "photo":
        return image_set.images[facet.members[0]]
    if isinstance(start, int | float) and 0 <= start <= 1:
        return torch.full_like(image_set.images[0], float(start))
    raise UnknownMethod(f"cannot start from {start!r}: say mean, photo or noise, or a grey value in 0..1")


def parametrizations(
    kind: Kind, image_set: ImageSet | None, facet: Facet | None, network: FeatureNetwork
) -> Callable[[Size], Parametrization]:
    """Makes canvases of a size."""
    channels = network.normalization.channels
    if kind not in KINDS:
        raise UnknownMethod(f"there is no canvas {kind!r}: say {', '.join(KINDS)}")
    if kind != "phase":
        return lambda size: parametrization_of(kind, (channels, *size), network.dtype)
    if image_set is None or facet is None:
        raise MethodError("a canvas of phases needs photos for its strengths: give images, or take fourier")
    members = image_set.images[list(facet.members)]
    return lambda size: Phase.of(at_size(members, size), facet.weights.to(members))


def _objective(
    image_set: ImageSet,
    facets: Sequence[Facet],
    b: int,
    layer: str,
    targets: Sequence[Tensor],
    S: Tensor,
    objective_weights: ObjectiveWeights,
) -> Objective:
    """J of the facet: the dual objective, and what keeps the image one of a kind with the photos."""
    facet, a = facets[b], targets[b]
    terms: list[Objective] = []
    if objective_weights.spatial:
        terms.append(aligned(layer, image_set.map(layer, facet), objective_weights.power))
    else:
        if objective_weights.activation:
            terms.append(excite(layer, a, S, objective_weights.activation, objective_weights.power))
        if objective_weights.distance_weight:
            terms.append(near(layer, a, S, objective_weights.distance, objective_weights.distance_weight))
    if objective_weights.sparsity:
        penalty = image_set.network.penalty_layer(layer)
        terms.append(objective_weights.sparsity * sparse(penalty, float(facet.mean(image_set.strength(penalty)))))
    earlier = earlier_stages(image_set.network, layer) if objective_weights.statistics else ()
    for stage in earlier:
        m, s = (facet.mean(values) for values in image_set.moments(stage))
        terms.append(objective_weights.statistics / len(earlier) * typical(stage, m, s))
    if objective_weights.smoothness:
        terms.append(objective_weights.smoothness * smooth())
    if objective_weights.low_saturation:
        terms.append(objective_weights.low_saturation * low_saturation())
    if objective_weights.contrast and len(targets) > 1:
        terms.append(objective_weights.contrast * apart(layer, a, [other for k, other in enumerate(targets) if k != b]))
    if objective_weights.diversity:
        terms.append(objective_weights.diversity * diverse(layer))
    if not terms:
        raise MethodError("nothing is asked of the image: give pull, fidelity or spatial some weight")
    return sum(terms[1:], terms[0])


def earlier_stages(network: FeatureNetwork, layer: str) -> tuple[str, ...]:
    """The stages before a layer; what is asked of the layer itself is the objective's business."""
    order = list(network.structure.shapes)
    unit = layer.split("[")[0].split("#")[0].removesuffix(".input")
    last = order.index(unit) if unit in order else len(order)
    stages = (stage.name for stage in network.structure.stages)
    return tuple(name for name in stages if name.split("#")[0] in order[:last])

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
    moments,
    near,
    pale,
    smooth,
    sparse,
    typical,
)  # fmt: skip
from foveal.featurevis.parametrization import KINDS, Kind, Parametrization, Phase, at_size, canvas
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
    pull: Form | None = "dot"
    power: float = 1.0
    distance: DistanceName = "l2"
    fidelity: float = 1.0
    sparsity: float = 0.05
    statistics: float = 10.0
    smoothness: float = 2.0
    paleness: float = 0.0
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

    eye: FeatureNetwork
    images: Float[Tensor, "n c h w"]
    features: dict[str, Float[Tensor, "n c"]]
    background: dict[str, Float[Tensor, "m c"]] = field(default_factory=dict)
    _moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _strength: dict[str, Tensor] = field(default_factory=dict)

    def moments(self, layer: str) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c"]]:
        if layer not in self._moments:
            each = self.eye.looks(self.images, (layer,), lambda seen: moments(seen.maps[layer]))
            means, spreads = zip(*each, strict=True)
            self._moments[layer] = torch.cat(means).detach(), torch.cat(spreads).detach()
        return self._moments[layer]

    def strength(self, layer: str) -> Float[Tensor, " n"]:
        if layer not in self._strength:
            self._strength[layer] = self.eye.strength(self.images, layer).detach()
        return self._strength[layer]

    def map(self, layer: str, facet: Facet) -> Float[Tensor, "c h w"]:
        """The mean map of a facet's members."""
        maps = self.eye.look(self.images[list(facet.members)], (layer,), gradient=False).maps[layer].detach()
        if maps.ndim != 4:
            raise MethodError(f"layer {layer!r} has no map to be compared place by place: leave out spatial")
        return torch.einsum("m,mchw->chw", facet.weights.to(maps), maps)


def subjects(
    album: ImageSet, facets: Sequence[Facet], layers: Sequence[str], wishes: ObjectiveWeights, start: Start
) -> list[FacetTask]:
    """Every facet at every layer."""
    found = []
    for layer in layers:
        z = album.features[layer]
        targets = [facet.mean(z) for facet in facets]
        for b, facet in enumerate(facets):
            S = informative(z, facet, wishes.channels, count=wishes.count, background=album.background.get(layer))
            if not bool(targets[b][S].abs().sum() > 0):
                raise MethodError(f"nothing in layer {layer!r} responds to facet {b + 1}: choose another layer")
            J = _objective(album, facets, b, layer, targets, S, wishes)
            begin = beginning(album, facet, start)
            found.append(FacetTask(f"facet {b + 1} at {layer}", layer, b, targets[b], S, J, begin))
    return found


def beginning(album: ImageSet, facet: Facet, start: Start) -> Float[Tensor, "c h w"] | None:
    """The mean of the facet's photos, its most typical photo, or a grey value; None for noise."""
    if start == "noise":
        return None
    if start == "mean":
        return facet.mean(album.images)
    if start == "photo":
        return album.images[facet.members[0]]
    if isinstance(start, int | float) and 0 <= start <= 1:
        return torch.full_like(album.images[0], float(start))
    raise UnknownMethod(f"cannot start from {start!r}: say mean, photo or noise, or a grey value in 0..1")


def parametrizations(
    kind: Kind, album: ImageSet | None, facet: Facet | None, eye: FeatureNetwork
) -> Callable[[Size], Parametrization]:
    """Makes canvases of a size."""
    channels = eye.lens.channels
    if kind not in KINDS:
        raise UnknownMethod(f"there is no canvas {kind!r}: say {', '.join(KINDS)}")
    if kind != "phase":
        return lambda size: canvas(kind, (channels, *size), eye.dtype)
    if album is None or facet is None:
        raise MethodError("a canvas of phases needs photos for its strengths: give images, or take fourier")
    members = album.images[list(facet.members)]
    return lambda size: Phase.of(at_size(members, size), facet.weights.to(members))


def _objective(
    album: ImageSet,
    facets: Sequence[Facet],
    b: int,
    layer: str,
    targets: Sequence[Tensor],
    S: Tensor,
    wishes: ObjectiveWeights,
) -> Objective:
    """J of the facet: the dual objective, and what keeps the image one of a kind with the photos."""
    facet, a = facets[b], targets[b]
    terms: list[Objective] = []
    if wishes.spatial:
        terms.append(aligned(layer, album.map(layer, facet), wishes.power))
    else:
        if wishes.pull:
            terms.append(excite(layer, a, S, wishes.pull, wishes.power))
        if wishes.fidelity:
            terms.append(near(layer, a, S, wishes.distance, wishes.fidelity))
    if wishes.sparsity:
        penalty = album.eye.penalty_layer(layer)
        terms.append(wishes.sparsity * sparse(penalty, float(facet.mean(album.strength(penalty)))))
    earlier = earlier_stages(album.eye, layer) if wishes.statistics else ()
    for stage in earlier:
        m, s = (facet.mean(values) for values in album.moments(stage))
        terms.append(wishes.statistics / len(earlier) * typical(stage, m, s))
    if wishes.smoothness:
        terms.append(wishes.smoothness * smooth())
    if wishes.paleness:
        terms.append(wishes.paleness * pale())
    if wishes.contrast and len(targets) > 1:
        terms.append(wishes.contrast * apart(layer, a, [other for k, other in enumerate(targets) if k != b]))
    if wishes.diversity:
        terms.append(wishes.diversity * diverse(layer))
    if not terms:
        raise MethodError("nothing is asked of the image: give pull, fidelity or spatial some weight")
    return sum(terms[1:], terms[0])


def earlier_stages(eye: FeatureNetwork, layer: str) -> tuple[str, ...]:
    """The stages before a layer; what is asked of the layer itself is the objective's business."""
    order = list(eye.structure.shapes)
    unit = layer.split("[")[0].split("#")[0].removesuffix(".input")
    last = order.index(unit) if unit in order else len(order)
    stages = (stage.name for stage in eye.structure.stages)
    return tuple(name for name in stages if name.split("#")[0] in order[:last])

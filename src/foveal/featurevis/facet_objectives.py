"""The facets of a set at some layers, as tasks with objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from foveal.errors import MethodError
from foveal.featurevis.channels import informative
from foveal.featurevis.image_objectives import low_saturation, smooth
from foveal.featurevis.image_set import ImageSet, Start, start_image
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.objective import Objective
from foveal.featurevis.objective_weights import ObjectiveWeights
from foveal.featurevis.objectives import aligned, apart, diverse, excite, near, sparse, typical
from foveal.results.facet import Facet

if TYPE_CHECKING:
    from jaxtyping import Float, Int


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


def tasks_of_facets(
    image_set: ImageSet,
    facets: Sequence[Facet],
    layers: Sequence[str],
    objective_weights: ObjectiveWeights,
    start: Start,
) -> list[FacetTask]:
    """The tasks of every facet at every layer.

    Args:
        image_set: with pooled features of these layers.
        facets: the kinds of image in the set.
        layers: where their features are.
        objective_weights: how much of each term.
        start: what images begin with, see `start_image`.

    Raises:
        MethodError: for a layer in which nothing responds to a facet, or an objective without terms.
    """
    tasks = []
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
                raise MethodError(f"no channel of layer {layer!r} responds to facet {b + 1}: choose another layer")
            J = _objective(image_set, facets, b, layer, targets, S, objective_weights)
            begin = start_image(image_set, facet, start)
            tasks.append(FacetTask(f"facet {b + 1} at {layer}", layer, b, targets[b], S, J, begin))
    return tasks


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
        raise MethodError("all weights are zero: give activation, distance_weight or spatial a weight above 0")
    return sum(terms[1:], terms[0])


def earlier_stages(network: FeatureNetwork, layer: str) -> tuple[str, ...]:
    """The stages before a layer; what is asked of the layer itself is the objective's business."""
    order = list(network.structure.shapes)
    unit = layer.split("[")[0].split("#")[0].removesuffix(".input")
    last = order.index(unit) if unit in order else len(order)
    stages = (stage.name for stage in network.structure.stages)
    return tuple(name for name in stages if name.split("#")[0] in order[:last])

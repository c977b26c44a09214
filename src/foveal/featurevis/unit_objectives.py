"""Single units as tasks: a channel, a neuron, a class, any target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from foveal.targets import Class, Direction, Group, Neuron, Target

if TYPE_CHECKING:
    from foveal.results.feature_graph import Feature
    from foveal.results.tree import Tree
from foveal.featurevis.image_objectives import low_saturation, smooth
from foveal.featurevis.image_set import parametrizations
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.objective import Objective
from foveal.featurevis.objective_weights import ObjectiveWeights
from foveal.featurevis.objectives import cell, diverse, target_score
from foveal.featurevis.parametrization import Fourier, Kind
from foveal.featurevis.schedule import FeatureTask, Size

AWAKE = 0.2  # deviation of waves to begin with: on nearly gray images most units are off
EASE = 20.0


def units_of(tree: Tree, most: int = 12) -> list[Neuron] | list[Direction]:
    """The channels, or the parts, in a tree of `foveal.decompose` so far, those with the largest contribution first.

    tree = foveal.decompose(model, "bird.jpg").grow(2)
    made = foveal.visualize(model, target=foveal.featurevis.units_of(tree))
    """
    if parts := [feature for feature in features_by_flow(tree) if feature.profile is not None]:
        return [direction_of(feature) for feature in parts[:most]]
    units = dict.fromkeys((feature.layer, feature.channel) for feature in features_by_flow(tree))
    return [Neuron(layer, channel) for layer, channel in [*units][:most]]


def features_by_flow(tree: Tree) -> list[Feature]:
    """Those found so far, the ones through whose channel, or part, most of the decision flows first."""
    flows: dict[tuple[str, int], float] = {}
    for key, share in tree.flow().items():
        if (feature := tree.features.get(key)) is not None:
            flows[_unit(feature)] = flows.get(_unit(feature), 0.0) + share
    known = [feature for feature in tree.features.values() if _unit(feature) in flows]
    size = abs if any(feature.part is not None for feature in known) else float
    return sorted(known, key=lambda feature: -size(flows[_unit(feature)]))


def direction_of(feature: Feature) -> Direction:
    """The channels that hold half of a part's evidence, as it lies in them."""
    assert feature.profile is not None
    strongest = torch.zeros_like(feature.profile)
    strongest[list(feature.channels)] = feature.profile[list(feature.channels)]
    return Direction(feature.layer, strongest / strongest.norm().clamp(min=1e-30), feature.name)


def _unit(feature: Feature) -> tuple[str, int]:
    return feature.layer, feature.channel if feature.part is None else feature.part


def unit_task(
    network: FeatureNetwork, target: Target, objective_weights: ObjectiveWeights, parametrization: Kind, seeds: int
) -> FeatureTask:
    """The task of a single unit, or of any target: an image that maximizes it."""
    name = _named(target)
    alone = target_score(target, name)
    wanted, scale = _anywhere(network, target) or alone, _strength(network, alone)
    J = 1 / scale * wanted
    layer = target.layers[0] if target.layers else None
    if objective_weights.smoothness:
        J = J + objective_weights.smoothness * smooth()
    if objective_weights.low_saturation:
        J = J + objective_weights.low_saturation * low_saturation()
    if objective_weights.diversity and layer and seeds > 1:
        J = J + objective_weights.diversity * diverse(layer)
    of_size = parametrizations(parametrization, None, None, network)
    if parametrization == "fourier":
        of_size = partial(_waves, network)
    return FeatureTask(name, J, of_size, layer, None, tuple(range(seeds)))


def _waves(network: FeatureNetwork, size: Size) -> Fourier:
    return Fourier((network.normalization.channels, *size), network.dtype, noise=AWAKE)


def _strength(network: FeatureNetwork, score: Objective) -> float:
    """So large that total variation, weighted 1, pulls a twentieth as hard as the score, divided by it.

    Scores have no scale of their own: a logit, a mean activation, a cosine. Measured on images of noise with the
    spectrum of photos, at the one that the unit cares about most.
    """
    random = torch.Generator().manual_seed(0)
    waves = _waves(network, network.normalization.size)
    noise = torch.stack([waves.noise(random) for _ in range(8)]).to(network.device)
    x = waves.image(noise).detach().requires_grad_()
    seen = network.look(x, score.layers, whole=score.whole, relu_leak=True)
    (steep,) = torch.autograd.grad(score(seen).sum(), x)
    (calm,) = torch.autograd.grad(smooth()(seen).sum(), x)
    strongest = float(steep.flatten(1).norm(dim=1).max())
    return strongest / float(calm.flatten(1).norm(dim=1).mean()) / EASE if strongest > 0 else 1.0


def _anywhere(network: FeatureNetwork, target: Target) -> Objective | None:
    """A neuron at a place, for maps of any size: octaves change it."""
    if not isinstance(target, Neuron) or target.position is None:
        return None
    gray = torch.full(
        (1, network.normalization.channels, *network.normalization.size),
        0.5,
        device=network.device,
        dtype=network.dtype,
    )
    (layer,) = target.layers
    h, w = network.look(gray, (layer,), gradient=False).maps[layer].shape[2:]
    y, x = target.position
    return cell(layer, target.channel, ((y + 0.5) / h, (x + 0.5) / w))


def _named(target: Target) -> str:
    if isinstance(target, Neuron):
        place = f" at {target.position[0]},{target.position[1]}" if target.position else ""
        return f"{target.layer} channel {target.channel}{place}"
    if isinstance(target, Direction):
        return target.name or f"direction in {target.layer}"
    if isinstance(target, Class):
        return f"class {target.which}"
    if isinstance(target, Group) and target.name:
        return target.name
    return type(target).__name__.lower()

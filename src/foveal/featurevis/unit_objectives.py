"""Single units as tasks: a channel, a neuron, a class, any decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foveal.targets import Class, Neuron, Target

if TYPE_CHECKING:
    from foveal.results.tree import Tree
from foveal.featurevis.facet_objectives import ObjectiveWeights, parametrizations
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.objectives import Objective, cell, diverse, low_saturation, smooth, target_score
from foveal.featurevis.parametrization import Fourier, Kind
from foveal.featurevis.schedule import FeatureTask

AWAKE = 0.2  # deviation of waves to begin with: on nearly grey images most units are off
EASE = 20.0


def units_of(tree: Tree, most: int = 12) -> list[Neuron]:
    """The channels that a tree of `foveal.decompose` has found so far, those through which most flows first.

    tree = foveal.decompose(model, "bird.jpg").grow(2)
    faces = foveal.visualize(model, target=foveal.featurevis.units_of(tree))
    """
    flow = tree.flow()
    found: dict[tuple[str, int], float] = {}
    for key, share in flow.items():
        feature = tree.features.get(key)
        if feature is not None:
            unit = feature.layer, feature.channel
            found[unit] = found.get(unit, 0.0) + share
    ordered = sorted(found, key=lambda unit: -found[unit])
    return [Neuron(layer, channel) for layer, channel in ordered[:most]]


def unit_task(
    network: FeatureNetwork, decision: Target, objective_weights: ObjectiveWeights, parametrization: Kind, seeds: int
) -> FeatureTask:
    """A single unit, or any decision, as a task: as strong as can be."""
    name = _named(decision)
    alone = target_score(decision, name)
    wanted, scale = _anywhere(network, decision) or alone, _strength(network, alone)
    J = 1 / scale * wanted
    layer = decision.layers[0] if decision.layers else None
    if objective_weights.smoothness:
        J = J + objective_weights.smoothness * smooth()
    if objective_weights.low_saturation:
        J = J + objective_weights.low_saturation * low_saturation()
    if objective_weights.diversity and layer and seeds > 1:
        J = J + objective_weights.diversity * diverse(layer)
    brush = parametrizations(parametrization, None, None, network)
    if parametrization == "fourier":
        brush = lambda size: Fourier((network.normalization.channels, *size), network.dtype, noise=AWAKE)  # noqa: E731
    return FeatureTask(name, J, brush, layer, None, tuple(range(seeds)))


def _strength(network: FeatureNetwork, score: Objective) -> float:
    """So large that total variation, weighted 1, pulls a twentieth as hard as the score, divided by it.

    Scores have no scale of their own: a logit, a mean activation, a cosine. Measured on images of noise with the
    spectrum of photos, at the one that the unit cares about most.
    """
    random = torch.Generator().manual_seed(0)
    easel = Fourier((network.normalization.channels, *network.normalization.size), network.dtype, noise=AWAKE)
    noise = torch.stack([easel.noise(random) for _ in range(8)]).to(network.device)
    x = easel.image(noise).detach().requires_grad_()
    seen = network.look(x, score.layers, whole=score.whole, relu_leak=True)
    (activation,) = torch.autograd.grad(score(seen).sum(), x)
    (calm,) = torch.autograd.grad(smooth()(seen).sum(), x)
    strongest = float(activation.flatten(1).norm(dim=1).max())
    return strongest / float(calm.flatten(1).norm(dim=1).mean()) / EASE if strongest > 0 else 1.0


def _anywhere(network: FeatureNetwork, decision: Target) -> Objective | None:
    """A neuron at a place, for maps of any size: octaves change it."""
    if not isinstance(decision, Neuron) or decision.position is None:
        return None
    gray = torch.full(
        (1, network.normalization.channels, *network.normalization.size),
        0.5,
        device=network.device,
        dtype=network.dtype,
    )
    h, w = network.look(gray, (decision.layer,), gradient=False).maps[decision.layer].shape[2:]
    y, x = decision.position
    return cell(decision.layer, decision.channel, ((y + 0.5) / h, (x + 0.5) / w))


def _named(decision: Target) -> str:
    if isinstance(decision, Neuron):
        place = f" at {decision.position[0]},{decision.position[1]}" if decision.position else ""
        return f"{decision.layer} channel {decision.channel}{place}"
    if isinstance(decision, Class):
        return f"class {decision.which}"
    return type(decision).__name__.lower()

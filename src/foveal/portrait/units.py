"""Single units as tasks: a channel, a neuron, a class, any decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foveal.decisions import Class, Decision, Neuron

if TYPE_CHECKING:
    from foveal.hierarchy.tree import Tree
from foveal.portrait.eye import Eye
from foveal.portrait.image import Kind
from foveal.portrait.objectives import Objective, Seen, cell, decided, diverse, pale, smooth
from foveal.portrait.plan import Task
from foveal.portrait.subjects import Wishes, brushes


def units_of(tree: Tree, most: int = 12) -> list[Neuron]:
    """The channels that a tree of `foveal.decompose` has found so far, those through which most flows first.

    tree = foveal.decompose(model, "bird.jpg").grow(2)
    faces = foveal.portray(model, target=foveal.portrait.units_of(tree))
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


def unit_task(eye: Eye, decision: Decision, wishes: Wishes, canvas: Kind, seeds: int) -> Task:
    """A single unit, or any decision, as a task: as strong as can be."""
    name = _named(decision)
    alone = decided(decision, name)
    noise = torch.rand(8, eye.lens.channels, *eye.lens.size, generator=torch.Generator().manual_seed(0)).to(
        eye.device, eye.dtype
    )
    seen = eye.look(noise, alone.layers, whole=alone.whole, gradient=False)
    scale = max(float(alone(seen).abs().max()), 1e-6)
    J = 1 / scale * (_anywhere(decision, seen) or alone)
    layer = decision.layers[0] if decision.layers else None
    if wishes.smoothness:
        J = J + wishes.smoothness * smooth()
    if wishes.paleness:
        J = J + wishes.paleness * pale()
    if wishes.diversity and layer and seeds > 1:
        J = J + wishes.diversity * diverse(layer)
    return Task(name, J, brushes(canvas, None, None, eye), layer, None, tuple(range(seeds)))


def _anywhere(decision: Decision, seen: Seen) -> Objective | None:
    """A neuron at a place, for maps of any size: octaves change it."""
    if not isinstance(decision, Neuron) or decision.position is None:
        return None
    h, w = seen.maps[decision.layer].shape[2:]
    y, x = decision.position
    return cell(decision.layer, decision.channel, ((y + 0.5) / h, (x + 0.5) / w))


def _named(decision: Decision) -> str:
    if isinstance(decision, Neuron):
        place = f" at {decision.position[0]},{decision.position[1]}" if decision.position else ""
        return f"{decision.layer} channel {decision.channel}{place}"
    if isinstance(decision, Class):
        return f"class {decision.which}"
    return type(decision).__name__.lower()

"""A tree of one decision, ready to grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from foveal.attribution.passes import PassResult, Scene, forward_backward
from foveal.attribution.perturbation import PerturbationScorer, runs_for
from foveal.engine.address import Address
from foveal.engine.guard import untouched, unwrap
from foveal.engine.select import stages_before
from foveal.engine.subnetwork import Segment
from foveal.hierarchy.expansion import TreeExpander
from foveal.hierarchy.feature_patterns import FeaturePatterns
from foveal.hierarchy.settings import TreeSettings
from foveal.images import Geometry, Photo
from foveal.results.feature_graph import Feature
from foveal.results.tree import Tree
from foveal.targets import compares

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.structure import Stage


def tree_of(scene: Scene, settings: TreeSettings, names: Sequence[str] = ()) -> Tree:
    """The same of a scene of one image; `names` are its stages, all up to what the decision looks at if left out."""
    names = tuple(names) or _stages(scene)
    known = {stage.name: stage for stage in scene.tracing().stages}
    stages = tuple(known[name] for name in names)
    below = forward_backward(scene, names, gradient=False, backward=False)
    passed = forward_backward(scene, names[-1:], gradient=True, backward=True)
    assert passed.verdict is not None
    A = [_single(below.activations[name]) for name in names]
    expander = TreeExpander(
        stages,
        A,
        _single(passed.cotangents[names[-1]]),
        cache(lambda stage: _segment(scene, (stages[stage - 1], A[stage - 1]), (stages[stage], A[stage]))),
        lambda groups: _without(scene, passed, names[-1], groups),
        settings,
        FeaturePatterns(
            unwrap(scene.model), scene.x, scene.arguments, stages, [_last_call(scene, name) for name in names]
        ),
    )
    decision = Feature(len(stages), "score", value=float(passed.verdict.score[0]))
    size = (int(scene.x.shape[2]), int(scene.x.shape[3]))
    blank = Photo(np.zeros((*size, 3), np.uint8), Geometry.identity(size), "tensor")
    return Tree(
        decision,
        stages,
        expander,
        blank,
        target=passed.verdict.words[0],
        model="",
        target_spec=passed.verdict.spec,
        parameters=asdict(settings),
        notes=tuple(below.notes),
        features=expander.features,
    )


def _stages(scene: Scene) -> tuple[str, ...]:
    structure, decision = scene.tracing(), scene.decision
    if decision and decision.layers:
        return stages_before(decision.layers[0], structure, itself=compares(decision))
    return tuple(stage.name for stage in structure.stages)


def _segment(scene: Scene, below: tuple[Stage, Tensor], above: tuple[Stage, Tensor]) -> Segment:
    layouts, known = (below[0].layout, above[0].layout), (below[1], above[1])
    names, last_call = (below[0].name, above[0].name), partial(_last_call, scene)
    return Segment(unwrap(scene.model), scene.x, scene.arguments, *names, last_call, layouts, known)


def _last_call(scene: Scene, layer: str) -> int:
    address = Address.parse(layer)
    return scene.tracing().last_calls(scene.model, [layer])[layer] if address.call is None else address.call


def _without(scene: Scene, passed: PassResult, layer: str, groups: Sequence[Sequence[int]]) -> Float[Tensor, " m"]:
    """The score with all of a group's channels of the last stage set to zero, group by group."""
    with untouched(scene.model), runs_for(scene, passed) as runs, torch.no_grad():
        probe = PerturbationScorer(scene, passed, 0, layer, lambda done, total: None, runs)

        def copies(start: int, stop: int) -> Tensor:
            few = probe.A.repeat(stop - start, 1, 1, 1)
            for copy, channels in zip(few, groups[start:stop], strict=True):
                copy[list(channels)] = 0
            return few

        scores = probe.resumed(copies, len(groups))
        probe.forget()
    return scores.cpu()


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor

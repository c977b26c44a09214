"""A tree of one decision, ready to grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from foveal.attribution.context import Context
from foveal.attribution.forwards import runs_for
from foveal.attribution.passes import PassResult, forward_backward
from foveal.attribution.perturbation import PerturbationScorer
from foveal.engine.address import Address
from foveal.engine.guard import untouched, unwrap
from foveal.engine.select import stages_before
from foveal.engine.subnetwork import Subnetwork
from foveal.errors import MethodError
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
    from foveal.hierarchy.part_expansion import PartExpander
    from foveal.targets import TargetScore


def tree_of(context: Context, settings: TreeSettings, names: Sequence[str] = ()) -> Tree:
    """The tree of one image, not grown; `names` are its stages, all up to what the decision looks at if left out."""
    if context.x.ndim != 4:
        raise MethodError(
            f"decompositions so far are of images (n, c, h, w), and this input is {tuple(context.x.shape)}: "
            "use gradcam or hirescam"
        )
    names = tuple(names) or stages_of(context)
    known = {stage.name: stage for stage in context.tracing().stages}
    stages = tuple(known[name] for name in names)
    below = forward_backward(context, names, gradient=False, backward=False)
    passed = forward_backward(context, names[-1:], gradient=True, backward=True)
    assert passed.verdict is not None
    A = [single(below.activations[name]) for name in names]
    expander = TreeExpander(
        stages,
        A,
        single(passed.cotangents[names[-1]]),
        cache(lambda stage: segment_between(context, (stages[stage - 1], A[stage - 1]), (stages[stage], A[stage]))),
        lambda groups: _without(context, passed, names[-1], groups),
        settings,
        FeaturePatterns(
            unwrap(context.model), context.x, context.arguments, stages, [_last_call(context, name) for name in names]
        ),
    )
    return ungrown(context, stages, expander, passed.verdict, settings, below.notes)


def ungrown(
    context: Context,
    stages: tuple[Stage, ...],
    expander: TreeExpander | PartExpander,
    verdict: TargetScore,
    settings: TreeSettings,
    notes: Sequence[str],
) -> Tree:
    """A tree of the decision alone, on a blank photo."""
    size = (int(context.x.shape[2]), int(context.x.shape[3]))
    return Tree(
        Feature(len(stages), "score", value=float(verdict.score[0])),
        stages,
        expander,
        Photo(np.zeros((*size, 3), np.uint8), Geometry.identity(size), "tensor"),
        target=verdict.label[0],
        model="",
        target_spec=verdict.spec,
        parameters=asdict(settings),
        notes=tuple(notes),
        features=expander.features,
    )


def stages_of(context: Context) -> tuple[str, ...]:
    """Names of the stages up to what the target looks at."""
    structure, decision = context.tracing(), context.target
    if decision and decision.layers:
        return stages_before(decision.layers[0], structure, itself=compares(decision))
    return tuple(stage.name for stage in structure.stages)


def segment_between(context: Context, below: tuple[Stage, Tensor], above: tuple[Stage, Tensor]) -> Subnetwork:
    """What lies between two stages, each given with its activations."""
    layouts, known = (below[0].layout, above[0].layout), (below[1], above[1])
    names, last_call = (below[0].name, above[0].name), partial(_last_call, context)
    return Subnetwork(unwrap(context.model), context.x, context.arguments, *names, last_call, layouts, known)


def _last_call(context: Context, layer: str) -> int:
    address = Address.parse(layer)
    return context.tracing().last_calls(context.model, [layer])[layer] if address.call is None else address.call


def _without(context: Context, passed: PassResult, layer: str, groups: Sequence[Sequence[int]]) -> Float[Tensor, " m"]:
    """The score with all of a group's channels of the last stage set to zero, group by group."""
    A = passed.activations[layer][:1]

    def copies(start: int, stop: int) -> Tensor:
        few = A.repeat(stop - start, 1, 1, 1)
        for copy, channels in zip(few, groups[start:stop], strict=True):
            copy[list(channels)] = 0
        return few

    return _resumed(context, passed, layer, copies, len(groups))


def with_maps(context: Context, passed: PassResult, layer: str, maps: Float[Tensor, "m c h w"]) -> Float[Tensor, " m"]:
    """The score with each of these maps at the last stage."""
    return _resumed(context, passed, layer, lambda start, stop: maps[start:stop], len(maps))


def _resumed(
    context: Context, passed: PassResult, layer: str, copies: Callable[[int, int], Tensor], count: int
) -> Float[Tensor, " m"]:
    with untouched(context.model), runs_for(context, passed) as runs, torch.no_grad():
        probe = PerturbationScorer(context, passed, 0, layer, lambda done, total: None, runs)
        scores = probe.resumed(copies, count)
        probe.forget()
    return scores.cpu()


def single(tensor: Tensor) -> Tensor:
    """In single precision at least."""
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor

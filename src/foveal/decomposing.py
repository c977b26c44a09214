"""A decision taken apart: `foveal.decompose`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from foveal.decisions import Target, Task, compares
from foveal.engine.address import Address
from foveal.engine.graph import recording
from foveal.engine.guard import untouched, unwrap
from foveal.engine.segment import Segment
from foveal.errors import LayerError
from foveal.hierarchy.growth import Growth, Plan
from foveal.hierarchy.patterns import Eye
from foveal.hierarchy.tree import Feature, Tree
from foveal.images import Batch, Geometry, Photo
from foveal.inquiry import inquire, read, stages_before
from foveal.keywords import checked
from foveal.models.model import Model, as_model
from foveal.passes import Passed, Scene, run_through
from foveal.probe import Probe, Progress, runs_for

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.structure import Stage
    from foveal.hierarchy.assembly import Assembly
    from foveal.images import ImageLike, Preprocessing


@checked
@recording
def decompose(
    model: nn.Module | Model,
    image: ImageLike | Batch,
    target: Target = None,
    *,
    branch: int = 5,
    enough: float = 1.0,
    rule: str = "pool_up",
    gate: bool = True,
    rank_by: str = "sum",
    merge: bool = False,
    decide: str = "neuron",
    against: int = 0,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> Tree:
    """The decision as a tree of supporting features, stage by stage; it grows as it is looked at.

        tree = foveal.decompose(model, "bird.jpg")
        tree.root.children[0].children                      # what supports the strongest feature of the last stage
        print(tree.grow(2).audit())                         # two levels, and the measured effect of each edge

    Args:
        image: one picture.
        target: any decision of `foveal.explain`.
        branch: children of a node, at most; fewer where `enough` of it is held (a share).
        rule: how contributions are found: "pool_up" as published; "exact", signed, adds up; "window", smooth, adds up.
        gate: keep the decision's own features where Grad-CAM reaches half of its maximum.
        rank_by: "sum" or "max" of a channel's contributions.
        merge: channels that contribute in the same places count as one feature.
        decide: what a feature stands for: one "neuron", as published; the "sum" of its channel over all places; or
            the "map", the sum where it supports its parent, so that every instance of a part counts.
        against: how many features that speak against each node are found, too: `node.opponents`.

    The other arguments and the errors are those of `explain`. (Cheng et al., IJCV 131, 2023, arXiv:2201.09205.)
    """
    plan = Plan(branch, enough, rule, gate, rank_by, merge, decide, against)
    inquiry = inquire(
        model, image, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    if len(inquiry.batch.tensor) != 1:
        raise LayerError(f"a tree is of one picture, but {len(inquiry.batch.tensor)} were given: call once for each")
    tree = tree_of(inquiry.scene, plan, inquiry.every_layer())
    tree.photo, tree.model = inquiry.batch.photos[0], inquiry.subject.name
    tree.notes = (*inquiry.remarks([tree.target], photos=True), *tree.notes)
    return tree


@checked
@recording
def assemble(
    model: nn.Module | Model,
    images: ImageLike,
    target: Target = None,
    *,
    depth: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Assembly:
    """How a class is put together: the trees of many pictures, joined by channel.

        jays = foveal.assemble(model, sorted(Path("jays").iterdir()))
        print(jays); jays.poster().save("jays.png")
        jays.contrast(foveal.assemble(model, crows))        # channels that one class rests on and the other does not

    Args:
        images: several pictures, as `explain` takes them.
        depth: levels; all if left out.
        progress: hears (what, done, total).

    `options` are those of `decompose`.
    """
    from foveal.hierarchy.assembly import Assembly

    subject = as_model(model, options.pop("preprocessing", None), options.pop("labels", None))
    batch = read(subject, images)
    trees = []
    for number, photo in enumerate(batch.photos):
        alone = Batch(batch.tensor[number : number + 1], (photo,))
        trees.append(decompose(subject, alone, target, **options).grow(depth))
        if progress:
            progress("taking apart", number + 1, len(batch.photos))
    return Assembly(tuple(trees))


def tree_of(scene: Scene, plan: Plan, names: Sequence[str] = ()) -> Tree:
    """The same of a scene of one image; `names` are its stages, all up to what the decision looks at if left out."""
    names = tuple(names) or _stages(scene)
    known = {stage.name: stage for stage in scene.tracing().stages}
    stages = tuple(known[name] for name in names)
    below = run_through(scene, names, gradient=False, backward=False)
    passed = run_through(scene, names[-1:], gradient=True, backward=True)
    assert passed.verdict is not None
    A = [_single(below.activations[name]) for name in names]
    growth = Growth(
        stages,
        A,
        _single(passed.cotangents[names[-1]]),
        cache(lambda stage: _segment(scene, (stages[stage - 1], A[stage - 1]), (stages[stage], A[stage]))),
        lambda groups: _without(scene, passed, names[-1], groups),
        plan,
        Eye(unwrap(scene.model), scene.x, scene.arguments, stages, [_last_call(scene, name) for name in names]),
    )
    decision = Feature(len(stages), "score", value=float(passed.verdict.score[0]))
    size = (int(scene.x.shape[2]), int(scene.x.shape[3]))
    blank = Photo(np.zeros((*size, 3), np.uint8), Geometry.identity(size), "tensor")
    return Tree(
        decision,
        stages,
        growth,
        blank,
        target=passed.verdict.words[0],
        model="",
        target_spec=passed.verdict.spec,
        parameters=asdict(plan),
        notes=tuple(below.notes),
        features=growth.features,
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


def _without(scene: Scene, passed: Passed, layer: str, groups: Sequence[Sequence[int]]) -> Float[Tensor, " m"]:
    """The score with all of a group's channels of the last stage set to zero, group by group."""
    with untouched(scene.model), runs_for(scene, passed) as runs, torch.no_grad():
        probe = Probe(scene, passed, 0, layer, lambda done, total: None, runs)

        def copies(start: int, stop: int) -> Tensor:
            few = probe.A.repeat(stop - start, 1, 1, 1)
            for copy, channels in zip(few, groups[start:stop], strict=True):
                copy[list(channels)] = 0
            return few

        found = probe.resumed(copies, len(groups))
        probe.forget()
    return found.cpu()


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor

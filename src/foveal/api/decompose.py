"""A decision taken apart: `foveal.decompose`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from foveal.attribution.perturbation import Progress
from foveal.attribution.prepare import prepare, read
from foveal.engine.graph import recording
from foveal.engine.keywords import checked
from foveal.errors import LayerError
from foveal.hierarchy.build import tree_of
from foveal.hierarchy.expansion import TreeSettings
from foveal.images import Batch
from foveal.models.model import Model, as_model
from foveal.results.provenance import versions
from foveal.results.tree import Tree
from foveal.targets import TargetLike, Task

if TYPE_CHECKING:
    from foveal.images import ImageLike, Preprocessing
    from foveal.results.class_tree import ClassTree


@checked
@recording
def decompose(
    model: nn.Module | Model,
    image: ImageLike | Batch,
    target: TargetLike = None,
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
    began = time.perf_counter()
    plan = TreeSettings(branch, enough, rule, gate, rank_by, merge, decide, against)
    inquiry = prepare(
        model, image, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    if len(inquiry.batch.tensor) != 1:
        raise LayerError(f"a tree is of one picture, but {len(inquiry.batch.tensor)} were given: call once for each")
    tree = tree_of(inquiry.scene, plan, inquiry.every_layer())
    return replace(
        tree,
        photo=inquiry.batch.photos[0],
        model=inquiry.subject.name,
        notes=(*inquiry.remarks([tree.target], photos=True), *tree.notes),
        seconds=time.perf_counter() - began,
        versions=versions(),
    )


@checked
@recording
def class_tree(
    model: nn.Module | Model,
    images: ImageLike,
    target: TargetLike = None,
    *,
    depth: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ClassTree:
    """How a class is put together: the trees of many pictures, joined by channel.

        jays = foveal.class_tree(model, sorted(Path("jays").iterdir()))
        print(jays); jays.figure().save("jays.png")
        jays.contrast(foveal.class_tree(model, crows))        # channels that one class rests on and the other does not

    Args:
        images: several pictures, as `explain` takes them.
        depth: levels; all if left out.
        progress: hears (what, done, total).

    `options` are those of `decompose`.
    """
    from foveal.results.class_tree import ClassTree

    began = time.perf_counter()
    subject = as_model(model, options.pop("preprocessing", None), options.pop("labels", None))
    batch = read(subject, images)
    trees = []
    for number, photo in enumerate(batch.photos):
        alone = Batch(batch.tensor[number : number + 1], (photo,))
        trees.append(decompose(subject, alone, target, **options).grow(depth))
        if progress:
            progress("taking apart", number + 1, len(batch.photos))
    return ClassTree(tuple(trees), time.perf_counter() - began, versions())

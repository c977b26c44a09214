"""A decision taken apart: `foveal.decompose`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from foveal.api.references import chosen_reference, reference_name, reference_of
from foveal.api.tree_pictures import EvidenceElsewhere, TreePictures
from foveal.attribution.context import Context
from foveal.attribution.levels import check_one_path
from foveal.attribution.perturbation import Progress
from foveal.attribution.prepare import prepare, read
from foveal.engine.arguments import extra_inputs
from foveal.engine.graph import recording
from foveal.engine.keywords import checked
from foveal.errors import LayerError, UnknownMethod
from foveal.hierarchy.build import tree_of
from foveal.hierarchy.contribution_rules import RULES
from foveal.hierarchy.part_tree import part_tree
from foveal.hierarchy.settings import PARTS, TreeSettings
from foveal.images import Batch
from foveal.methods import find_method
from foveal.models.model import Model, as_model
from foveal.results.provenance import versions
from foveal.results.tree import Tree
from foveal.targets import TargetLike, Task
from foveal.targets.labels import LabelRows

if TYPE_CHECKING:
    from typing import TypeAlias

    from foveal.attribution.passes import Rules
    from foveal.images import ImageLike, Preprocessing
    from foveal.results.class_tree import ClassTree

    Reference: TypeAlias = "str | ImageLike"


DIFFERENCE = "difference"
CARRIERS = "with nodes='parts', rule is difference, exact, or a method with rules, such as lrp-gamma or excitationbp"


@checked
@recording
def decompose(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    branching: int | str = 5,
    coverage: float = 1.0,
    rule: str | None = None,
    gate: bool = True,
    rank_by: str = "sum",
    merge: bool = False,
    nodes: str = "neurons",
    opponents: int = 0,
    reference: Reference | None = None,
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

    Gradient-based activation propagation (Cheng et al., IJCV 131, 2023, arXiv:2201.09205).

    Args:
        model: as for `explain`.
        images: one image.
        target: any target of `foveal.explain`.
        branching: children of a node, at most; fewer where `coverage` is reached.
        coverage: the share of a node's support that its children must reach together.
        rule: how contributions are found: "pool_up" as published; "exact", signed, adds up; "window", smooth, adds up.
            Of parts: "difference", which loses nothing on the way; "exact"; or a method with rules such as "lrp-gamma".
        gate: keep the decision's own features where Grad-CAM reaches half of its maximum.
        rank_by: "sum" or "max" of a channel's contributions.
        merge: channels that contribute in the same places count as one feature.
        nodes: what features stand for: single "neurons", as published; "sums" of a channel over all places; or "maps",
            the sum where it supports its parent, so that every instance counts; or "parts", groups of channels at
            groups of positions that several parents share and that add up to the decision (docs/decompose.md).
        opponents: how many features with evidence against each node are found, too: `node.opponents`. Parts that speak
            against their parent are children with a share below 0.
        reference: what the rule "difference" of parts compares with: "blur", the default, "zero", "mean", or an image.
        inputs: what else the model's forward takes, as for `explain`.
        keywords: the same by name.
        preprocessing: as for `explain`.
        labels: as for `explain`.
        task: as for `explain`.

    Raises:
        LayerError: for more than one image, or a network without stages.
        MethodError, ImageError, ModelError, TargetError: as `explain`.
    """
    settings = _settings(branching, coverage, rule, gate, rank_by, merge, nodes, opponents)
    context = prepare(
        model, images, target, inputs=inputs, keywords=keywords, preprocessing=preprocessing, labels=labels, task=task
    )
    _check_one_label(context)
    if len(context.x) != 1:
        raise LayerError(
            f"a tree is of one image, but {len(context.x)} were given: call decompose once for each, or "
            "class_tree for all"
        )
    return _tree(context, settings, reference)


@checked
@recording
def class_tree(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    target: TargetLike = None,
    *,
    depth: int | None = None,
    branching: int | str = 5,
    coverage: float = 1.0,
    rule: str | None = None,
    gate: bool = True,
    rank_by: str = "sum",
    merge: bool = False,
    nodes: str = "neurons",
    opponents: int = 0,
    reference: Reference | None = None,
    progress: Progress | None = None,
    inputs: Sequence[Any] | Tensor = (),
    keywords: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
) -> ClassTree:
    """How a class is put together: the trees of many images, joined by channel, or part by part.

        jays = foveal.class_tree(model, sorted(Path("jays").iterdir()))
        print(jays); jays.figure().save("jays.png")
        jays.contrast(foveal.class_tree(model, crows))        # what one class rests on and the other does not

    With nodes="parts" the parts of different images are the same part if their evidence lies in the same channels
    (`results.part_groups`); one that is like none in other images stays alone.

    Args:
        model: as for `explain`.
        images: several images, as `explain` takes them.
        target: any target of `foveal.explain`; None is each image's predicted class.
        depth: levels; all if left out.
        branching: children of a node, at most, as for `decompose`.
        coverage: as for `decompose`.
        rule: as for `decompose`.
        gate: as for `decompose`.
        rank_by: as for `decompose`.
        merge: as for `decompose`.
        nodes: as for `decompose`.
        opponents: as for `decompose`.
        reference: as for `decompose`.
        progress: hears (what, done, total) after each image.
        inputs: what else the model's forward takes, as for `explain`; rows of tensors follow the images.
        keywords: the same by name.
        preprocessing: as for `explain`.
        labels: as for `explain`.
        task: as for `explain`.

    Raises:
        LayerError, MethodError, ImageError, ModelError, TargetError: as `decompose`.
    """
    from foveal.results.class_tree import ClassTree

    settings = _settings(branching, coverage, rule, gate, rank_by, merge, nodes, opponents)
    subject = as_model(model, preprocessing, labels, task)
    batch = read(subject, images)
    arguments = extra_inputs(len(batch.photos), inputs, keywords)
    began, trees = time.perf_counter(), []
    for number, photo in enumerate(batch.photos):
        alone, row = Batch(batch.tensor[number : number + 1], (photo,)), arguments.row(number)
        context = prepare(subject, alone, target, inputs=row.positional, keywords=row.keywords)
        _check_one_label(context)
        trees.append(_tree(context, settings, reference).grow(depth))
        if progress:
            progress("decomposing photos", number + 1, len(batch.photos))
    return ClassTree(tuple(trees), time.perf_counter() - began, versions())


def _settings(
    branching: int | str,
    coverage: float,
    rule: str | None,
    gate: bool,
    rank_by: str,
    merge: bool,
    nodes: str,
    opponents: int,
) -> TreeSettings:
    usual = DIFFERENCE if nodes == PARTS else "pool_up"
    return TreeSettings(branching, coverage, rule or usual, gate, rank_by, merge, nodes, opponents)


def _check_one_label(context: Context) -> None:
    if isinstance(context.target, LabelRows) and len(context.target.index) > 1:
        raise LayerError("a tree is of one label: name it, target=foveal.Class(label), and call once for each")


def _tree(context: Context, settings: TreeSettings, reference: Reference | None = None) -> Tree:
    """The tree of one image, ready to grow."""
    began = time.perf_counter()
    check_one_path(context, "a tree")
    compares = settings.nodes == PARTS and settings.rule == DIFFERENCE
    hint = f"nodes='parts' with rule='{DIFFERENCE}', its default, compares with one"
    chosen = chosen_reference(reference, used=compares, hint=hint)
    names = context.every_layer()
    elsewhere = None
    if settings.nodes == PARTS:
        rules, reference = _rules(context, settings.rule, chosen)
        tree = part_tree(context, settings, rules, reference, names)
        same = partial(reference_of, context, chosen) if compares else None
        elsewhere = EvidenceElsewhere(context, [stage.name for stage in tree.stages], rules, same)
    else:
        tree = tree_of(context, settings, names)
    return replace(
        tree,
        photo=context.photos[0],
        model=context.subject.name,
        parameters={**tree.parameters, **({"reference": reference_name(chosen)} if compares else {})},
        notes=(*context.remarks(photos=True), *tree.notes),
        illustrator=TreePictures(context, elsewhere),
        seconds=time.perf_counter() - began,
        versions=versions(),
    )


def _rules(context: Context, rule: str, reference: Reference) -> tuple[Rules | None, Tensor | None]:
    """What carries contributions of parts back, and the reference that it compares with.

    Raises:
        UnknownMethod: for a rule that there is not.
    """
    if rule == DIFFERENCE:
        return None, reference_of(context, reference, context.x)
    if rule == "exact":
        return None, None
    if rule in RULES:
        raise UnknownMethod(f"rule={rule!r} is for channels; {CARRIERS}")
    try:
        method = find_method(rule)
    except UnknownMethod as error:
        raise UnknownMethod(f"{error}; {CARRIERS}") from None
    if method.needs != "gradients" or method.rules is None or method.similarity:
        raise UnknownMethod(f"rule={rule!r} cannot carry contributions back; {CARRIERS}")
    return method.backward_rules(), None

"""A decision taken apart, as a page shows it: what supports one feature at a time.

A branch depends on its feature alone, whatever way leads to it: a feature that supports several others has one branch.
The page multiplies shares along the way.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING

from foveal.images.window import placed
from foveal.render.reference_words import reference_words
from foveal.report.answers.decision import asked_classes
from foveal.report.answers.tree_crops import crop_box, seen_box
from foveal.report.answers.wire import Box, MapAnswer, Wire, map_answer
from foveal.results.tree_map import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foveal.results.feature_graph import Edge, Feature
    from foveal.results.tree import Tree

ADDING = ("exact", "window")  # rules of channels whose contributions sum to the value


class TreeStage(Wire):
    """A stage: its name, how many rows and columns of positions it has, and channels."""

    name: str
    rows: int
    columns: int
    channels: int


class TreeNode(Wire):
    """A feature that supports another, or speaks against it.

    Attributes:
        id: "2.3" for part 3 of stage 2 (0 is next to the input), "2.121.8.12" for channel 121 at row 8, column 12.
        name: "part 3", "channel 121 at 8, 12".
        stage: its number.
        value: of a neuron, its activation; of a part, what it brings to the decision.
        share: of its parent; of a neuron, of all that speaks for its parent, or of all against it.
        brings: what it brings to its parent, in the units of the parent's value, below 0 against it; None where the
            rule's contributions do not add up.
        against: it speaks against its parent.
        part: its number, from 1; None of a neuron.
        channels: those it stands for, or that hold half of a part's evidence; the strongest first.
        position: row and column of a neuron.
        map: what it brings to its parent, position by position.
        box: x0, y0, x1, y1 in fractions of the photo, where it is looked at.
        sees: the same, of all that a neuron can see; None of a part.
        grows: there is a stage below it.
    """

    id: str
    name: str
    stage: int
    value: float
    share: float
    brings: float | None
    against: bool
    part: int | None
    channels: list[int]
    position: list[int] | None
    map: MapAnswer
    box: Box
    sees: Box | None
    grows: bool


class BranchAnswer(Wire):
    """What supports one feature, or the decision.

    Attributes:
        of: its id; "" is the decision.
        value: what is taken apart: the score, less that of the reference where there is one; an activation.
        nodes: those that bring most for it first, those most against it last.
        pro, contra: all evidence for and against it in the stage below, at least 0.
        biases: what biases on the way bring; None where both sides of a comparison have them.
        rest: value − biases − what the nodes bring; None where that does not add up.
    """

    of: str
    value: float
    nodes: list[TreeNode]
    pro: float
    contra: float
    biases: float | None
    rest: float | None


class TreeAnswer(Wire):
    """A decision and its first level.

    Attributes:
        target: in words.
        asked: the classes it is about.
        nodes: "parts" or "neurons", or what else a saved tree is of.
        reference: what the photo is compared with, in words; None where with nothing.
        score: of the photo.
        reference_score: of the reference.
        stages: first next to the input.
        branch: what the decision rests on.
    """

    target: str
    asked: list[str]
    nodes: str
    rule: str
    branching: int | str
    reference: str | None
    score: float
    reference_score: float | None
    adds_up: bool
    stages: list[TreeStage]
    branch: BranchAnswer
    notes: list[str]
    seconds: float


class NodeEffect(Wire):
    """What a feature loses without one that supports it, in units of its value; below 0 where it gains.

    Attributes:
        id: of the one.
        alone: without it alone.
        average: averaged over which of the other parts are there; None of neurons.
        random: with as much switched off at random; None of neurons.
    """

    id: str
    alone: float
    average: float | None = None
    random: float | None = None


class EffectsAnswer(Wire):
    """Measured: the network ran without each node of a branch.

    Attributes:
        of: whose branch.
        together: without all of them; None where it was not measured.
    """

    of: str
    effects: list[NodeEffect]
    together: float | None = None


def tree_answer(tree: Tree) -> TreeAnswer:
    """The decision and its first level, which is grown where it is not known."""
    compared = reference_words(tree.parameters)
    branch = branch_answer(tree, tree.decision)
    return TreeAnswer(
        target=tree.target,
        asked=asked_classes(tree.target, tree.target_spec),
        nodes=str(tree.parameters.get("nodes", "neurons")),
        rule=str(tree.parameters.get("rule", "")),
        branching=tree.parameters.get("branching", 5),
        reference=compared,
        score=tree.decision.value,
        reference_score=None if compared is None else tree.decision.offset,
        adds_up=adds_up(tree),
        stages=[
            TreeStage(name=stage.name, channels=stage.shape[0], rows=stage.shape[1], columns=stage.shape[2])
            for stage in tree.stages
        ],
        branch=branch,
        notes=list(tree.notes),
        seconds=tree.seconds,
    )


def branch_answer(tree: Tree, feature: Feature) -> BranchAnswer:
    """What supports a feature, which is grown where that is not known."""
    tree.expand([feature])
    nodes = [
        *(_node(tree, feature, edge) for edge in feature.edges or ()),
        *(_node(tree, feature, edge, opponent=True) for edge in opposing(feature)),
    ]
    nodes.sort(key=lambda node: _size(node), reverse=True)
    value = taken_apart(tree, feature)
    adding, offset = adds_up(tree), feature.offset if math.isfinite(feature.offset) else 0.0
    biases = None if reference_words(tree.parameters) else offset
    brought = sum(node.brings or 0.0 for node in nodes)
    return BranchAnswer(
        of=feature_id(feature),
        value=value,
        nodes=nodes,
        pro=_known(feature.pro),
        contra=_known(feature.contra),
        biases=biases,
        rest=value - (biases or 0.0) - brought if adding else None,
    )


def effects_answer(tree: Tree, feature: Feature) -> EffectsAnswer | None:
    """What was measured of a feature's branch; None where nothing was."""
    unit = unit_of(tree, feature)
    effects = [
        NodeEffect(
            id=feature_id(edge.child),
            alone=edge.effect * unit,
            average=None if edge.average is None else edge.average * unit,
            random=None if edge.random is None else edge.random * unit,
        )
        for edge in [*(feature.edges or ()), *opposing(feature)]
        if edge.effect is not None
    ]
    if not effects:
        return None
    together = None if feature.together is None else feature.together * unit
    return EffectsAnswer(of=feature_id(feature), effects=effects, together=together)


def known_branches(tree: Tree) -> Iterator[tuple[str, BranchAnswer, EffectsAnswer | None]]:
    """Every branch that a tree knows, by the id of its feature: what a report records. Grows nothing."""
    for feature in [tree.decision, *tree.features.values()]:
        if feature.edges:
            yield feature_id(feature), branch_answer(tree, feature), effects_answer(tree, feature)


def opposing(feature: Feature) -> list[Edge]:
    """What speaks against it, but for channels whose support, which counts both, is shown already."""
    shown = {edge.child.channels for edge in feature.edges or ()}
    return [edge for edge in feature.opponents if edge.child.channels not in shown]


def feature_id(feature: Feature) -> str:
    """Equal for equal features; "" of the decision."""
    if feature.part is not None:
        return f"{feature.stage}.{feature.part + 1}"
    if not feature.channels:
        return ""
    channels = "-".join(map(str, feature.channels))
    if feature.weights is None:
        return f"{feature.stage}.{channels}.{feature.place[0]}.{feature.place[1]}"
    weights = feature.weights.detach().cpu().contiguous().numpy().tobytes()
    return f"{feature.stage}.{channels}.{blake2b(weights, digest_size=4).hexdigest()}"


def adds_up(tree: Tree) -> bool:
    """Whether contributions are in the units of what they contribute to."""
    return tree.parameters.get("nodes") == "parts" or tree.parameters.get("rule") in ADDING


def taken_apart(tree: Tree, feature: Feature) -> float:
    """A feature's value; of a decision that is compared, what is left of the score without the reference's."""
    if feature is tree.decision and reference_words(tree.parameters):
        return feature.value - _known(feature.offset)
    return feature.value


def unit_of(tree: Tree, feature: Feature) -> float:
    """What effects on a feature are shares of: of parts with its sign, of neurons without."""
    value = taken_apart(tree, feature)
    return value if tree.parameters.get("nodes") == "parts" else abs(value)


def _node(tree: Tree, parent: Feature, edge: Edge, *, opponent: bool = False) -> TreeNode:
    child, sign = edge.child, -1 if opponent else 1
    stage = tree.stages[child.stage]
    map = sign * placed(edge.map.detach().cpu().float(), edge.corner, stage.shape[1:])
    brings = sign * edge.mass if adds_up(tree) else None
    y, x = child.place
    return TreeNode(
        id=feature_id(child),
        name=_name(child),
        stage=child.stage,
        value=child.value,
        share=edge.share,
        brings=brings,
        against=opponent or edge.share < 0 if brings is None else brings * _sign(taken_apart(tree, parent)) < 0,
        part=None if child.part is None else child.part + 1,
        channels=list(child.channels),
        position=[y, x] if child.part is None and child.weights is None else None,
        map=map_answer(map, tree.photo.geometry, place_of(tree, child.stage)),
        box=crop_box(tree, child),
        sees=None if child.part is not None or child.weights is not None else seen_box(tree, child),
        grows=child.stage > 0,
    )


def _name(feature: Feature) -> str:
    if feature.part is not None:
        return f"part {feature.part + 1}"
    more = f" and {len(feature.channels) - 1} more" if len(feature.channels) > 1 else ""
    y, x = feature.place
    return f"channel {feature.channel}{more}" + (f" at {y}, {x}" if feature.weights is None else " all over")


def _size(node: TreeNode) -> float:
    size = abs(node.share if node.brings is None else node.brings)
    return -1 / max(size, 1e-300) if node.against else size


def _sign(value: float) -> int:
    return -1 if value < 0 else 1


def _known(value: float) -> float:
    return value if math.isfinite(value) else 0.0

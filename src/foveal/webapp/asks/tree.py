"""A decision taken apart, a branch at a time, and what the network says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.hierarchy.expansion import TreeExpander
from foveal.report.answers.tree import (
    BranchAnswer,
    EffectsAnswer,
    NodeEffect,
    TreeAnswer,
    branch_answer,
    effects_answer,
    feature_id,
    opposing,
    tree_answer,
    unit_of,
)
from foveal.webapp.ask import Progress, ask
from foveal.webapp.trees import NAMED, FeatureQuery, TreeQuery, live_tree

if TYPE_CHECKING:
    from foveal.results.feature_graph import Feature
    from foveal.results.tree import Tree
    from foveal.webapp.studio import Studio


@ask("tree")
def tree(studio: Studio, query: TreeQuery, progress: Progress) -> TreeAnswer:
    """The decision and its first level: a forward and a backward pass, of photo and reference where parts compare."""
    progress("taking the decision apart", 0, 0)
    answer = tree_answer(live_tree(studio, query).tree)
    if query.nodes == "parts" and query.reference not in NAMED:
        return answer.model_copy(update={"reference": f"the photo {studio.photo(query.reference).name}"})
    return answer


@ask("tree/branch")
def branch(studio: Studio, query: FeatureQuery, progress: Progress) -> BranchAnswer:
    """What supports one feature: a pass back through one stage."""
    progress("looking one stage down", 0, 0)
    live = live_tree(studio, query)
    return branch_answer(live.tree, live.feature(query.of))


@ask("tree/effects")
def effects(studio: Studio, query: FeatureQuery, progress: Progress) -> EffectsAnswer:
    """What the feature loses without each that supports it: the network runs without them."""
    live = live_tree(studio, query)
    feature = live.feature(query.of)
    live.tree.expand([feature])
    live.tree.audit([feature], progress=progress)
    answer = effects_answer(live.tree, feature)
    if answer is None:
        return EffectsAnswer(of=query.of, effects=[])
    return answer.model_copy(update={"effects": [*answer.effects, *_of_opponents(live.tree, feature)]})


def _of_opponents(tree: Tree, feature: Feature) -> list[NodeEffect]:
    against = opposing(feature)
    if not against or not isinstance(tree.expander, TreeExpander):
        return []
    unit = unit_of(tree, feature)
    left = tree.expander.values_without(feature, [edge.child.channels for edge in against])
    return [
        NodeEffect(id=feature_id(edge.child), alone=(feature.value - value) * (1 if unit >= 0 else -1))
        for edge, value in zip(against, left, strict=True)
    ]

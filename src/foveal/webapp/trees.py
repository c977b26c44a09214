"""Trees that grow while a page looks at them. Whatever is forgotten is grown again, so answers depend on the query."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from foveal.api.decompose import decompose
from foveal.errors import ResultError
from foveal.hierarchy.switching import Switching
from foveal.webapp.ask import TargetQuery

if TYPE_CHECKING:
    from foveal.api.tree_pictures import TreePictures
    from foveal.results.feature_graph import Feature, Key
    from foveal.results.tree import Tree
    from foveal.webapp.studio import Studio

MOST = 3  # trees of a model: each holds the activations of all stages
NAMED = ("blur", "zero", "mean", "none")
MOST_NODES = 12  # children of a node, and nodes switched off at once


class TreeQuery(TargetQuery):
    """A decision, and how it is taken apart.

    Attributes:
        nodes: what features stand for.
        branching: children of a node, at most.
        rule: of neurons: "exact" or "window", which add up, or "pool_up", as published.
        opponents: of neurons: how many that speak against a node are found.
        reference: of parts: what the photo is compared with: "blur", "zero", "mean", or the hash of another photo;
            "none" carries contributions back by the derivative, and biases take their part.
    """

    nodes: Literal["parts", "neurons"] = "parts"
    branching: int = Field(default=5, ge=1, le=MOST_NODES)
    rule: Literal["exact", "window", "pool_up"] = "exact"
    opponents: int = Field(default=2, ge=0, le=MOST_NODES)
    reference: str = Field(default="blur", max_length=64)


class FeatureQuery(TreeQuery):
    """One feature of a tree.

    Attributes:
        of: "" is the decision; "2.3" part 3 of stage 2; "2.121.8.12" channel 121 at row 8, column 12 of stage 2.
    """

    of: str = Field(default="", max_length=60)


@dataclass(frozen=True, eq=False)
class LiveTree:
    """A tree that can grow, and its network with features switched off."""

    tree: Tree
    switched: Switching

    def feature(self, id: str) -> Feature:
        """The feature of an id. Raises ResultError where there is none."""
        return self.tree.vertex(key_of(id, self.tree))


def live_tree(studio: Studio, query: TreeQuery) -> LiveTree:
    """The tree of a query; of each model the last ones are kept."""
    trees: OrderedDict[str, LiveTree] = studio.kept(("trees", query.model), OrderedDict)
    key = TreeQuery(**{name: getattr(query, name) for name in TreeQuery.model_fields}).model_dump_json()
    if key not in trees:
        while len(trees) >= MOST:
            trees.popitem(last=False)
        trees[key] = _grown(studio, query)
    trees.move_to_end(key)
    return trees[key]


def key_of(id: str, tree: Tree) -> Key:
    """The key of a feature of this id.

    Raises:
        ResultError: for text that is no id.
    """
    if not id:
        return tree.decision.key
    if not re.fullmatch(r"\d{1,4}(\.\d{1,6}){1,3}", id):
        raise ResultError(f"{id!r} names no feature of a tree: name one as 2.3 or 2.121.8.12")
    stage, *rest = map(int, id.split("."))
    if len(rest) == 1:
        return stage, rest[0] - 1
    channel, *place = rest
    return (stage, *place, channel)


def pictures_of(live: LiveTree) -> TreePictures:
    """What finds photos and makes images of its features."""
    return live.tree.illustrator  # type: ignore[return-value]  # a tree that can grow has this one


def _grown(studio: Studio, query: TreeQuery) -> LiveTree:
    model, image = studio.model(query.model), studio.photo(query.photo).image
    target = studio.target(query.target, model)
    if query.nodes == "parts":
        reference = query.reference if query.reference in NAMED else studio.photo(query.reference).image
        how = {"rule": "exact"} if query.reference == "none" else {"reference": reference}
        tree = decompose(model, [image], target, nodes="parts", branching=query.branching, **how)
    else:
        tree = decompose(
            model,
            [image],
            target,
            branching=query.branching,
            rule=query.rule,
            gate=query.rule == "pool_up",
            opponents=query.opponents,
        )
    live = LiveTree(tree, None)  # type: ignore[arg-type]
    return LiveTree(tree, Switching(pictures_of(live).context, tree.stages, tree.expander))  # type: ignore[arg-type]

"""The page of a tree: a decision taken apart, to click through as far as the tree was grown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.report.answers.decision import spec_text
from foveal.report.answers.tree import feature_id, known_branches, tree_answer
from foveal.report.answers.tree_pictures import pictures_answer
from foveal.report.recorded_page import RecordedPage

if TYPE_CHECKING:
    from foveal.results.tree import Tree

GROWN = ("branching", "rule", "gate", "opponents", "reference", "coverage", "rank_by", "merge")
"""What the page says of how the tree was grown, in the call that makes it."""


def tree_page(tree: Tree, *, title: str = "") -> str:
    """A page that shows every branch that is known, and what was measured of it."""
    page = RecordedPage()
    whole = tree_answer(tree)
    query = {
        "photo": page.photo(tree.photo),
        "model": page.model(tree.model),
        "target": spec_text(tree.target, tree.target_spec),
        "nodes": whole.nodes,
        **{name: tree.parameters[name] for name in GROWN if name in tree.parameters},
    }
    page.add("tree", query, whole)
    for of, branch, effects in known_branches(tree):
        if of:
            page.add("tree/branch", {**query, "of": of}, branch)
        if effects:
            page.add("tree/effects", {**query, "of": of}, effects)
    for feature in tree.features.values():
        if pictures := pictures_answer(tree, feature):
            page.add("tree/pictures", {**query, "of": feature_id(feature)}, pictures)
    return page.html(f"#/tree?nodes={whole.nodes}", title=title or f"{tree.target}, {tree.model}")

"""What a page is told of a tree, live and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import foveal
from foveal.report.answers.tree import branch_answer, feature_id, known_branches, tree_answer
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render
from foveal.webapp.trees import key_of

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.results.tree import Tree


@pytest.fixture(scope="module", params=["parts", "neurons"])
def tree(request: pytest.FixtureRequest) -> Tree:
    more = {"nodes": "parts"} if request.param == "parts" else {"rule": "exact", "gate": False, "opponents": 2}
    image = render(demo_scenes()[0])[0]
    return foveal.decompose(foveal.load_model("demo"), [image], branching=3, **more).grow(2).audit()


def test_what_is_brought_and_the_rest_sum_to_the_value(tree: Tree) -> None:
    for _, branch, _ in known_branches(tree):
        assert branch.rest is not None
        total = sum(node.brings or 0.0 for node in branch.nodes) + (branch.biases or 0.0) + branch.rest
        assert total == pytest.approx(branch.value, abs=1e-5 * max(1, abs(branch.value)))
        for node in branch.nodes:
            assert node.map.total == pytest.approx(node.brings, rel=1e-3, abs=1e-4)
            assert node.against == ((node.brings or 0.0) * branch.value < 0)
            x0, y0, x1, y1 = node.box
            assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1


def test_the_whole_is_the_score_less_the_references(tree: Tree) -> None:
    answer = tree_answer(tree)
    assert answer.branch.value == pytest.approx(answer.score - (answer.reference_score or 0.0))
    assert (answer.reference_score is None) == (answer.nodes == "neurons")


def test_a_loaded_tree_gives_the_same_answers(tree: Tree, tmp_path: Path) -> None:
    tree.save(tmp_path / "tree")
    loaded = foveal.Tree.load(tmp_path / "tree")
    assert tree_answer(loaded).model_dump(exclude={"seconds"}) == tree_answer(tree).model_dump(exclude={"seconds"})
    assert [*known_branches(loaded)] == [*known_branches(tree)]


def test_ids_name_features_one_to_one(tree: Tree) -> None:
    ids = {feature_id(feature): feature for feature in [tree.decision, *tree.features.values()]}
    assert len(ids) == 1 + len(tree.features)
    for id, feature in ids.items():
        assert key_of(id, tree) == feature.key


def test_the_published_rule_gives_shares_alone() -> None:
    tree = foveal.decompose(foveal.load_model("demo"), [render(demo_scenes()[0])[0]], branching=3)
    answer = branch_answer(tree, tree.decision)
    assert answer.rest is None
    assert all(node.brings is None for node in answer.nodes)
    assert [node.share for node in answer.nodes] == [node.share for node in tree.root.children]

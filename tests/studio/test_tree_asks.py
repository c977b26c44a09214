"""Branches are found one at a time, and whatever was forgotten is found again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from foveal.errors import FovealError
from foveal.webapp.ask import ASKS
from foveal.webapp.trees import FeatureQuery, TreeQuery, live_tree

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio


@pytest.fixture
def photo(studio: Studio) -> str:
    return next(iter(studio.photos)).hash


def answer(studio: Studio, name: str, query: Any) -> Any:
    return ASKS[name].answer(studio, query, lambda what, done, total: None)


@pytest.mark.parametrize("nodes", ["parts", "neurons"])
def test_opening_a_node_finds_that_branch_alone(studio: Studio, photo: str, nodes: Any) -> None:
    query = TreeQuery(photo=photo, model="demo", nodes=nodes, branching=4)
    first = answer(studio, "tree", query).branch.nodes[0].id
    tree = live_tree(studio, query).tree
    assert all(feature.edges is None for feature in tree.features.values())
    answer(studio, "tree/branch", FeatureQuery(**query.model_dump(), of=first))
    known = [feature for feature in tree.features.values() if feature.edges is not None and feature.stage > 0]
    assert len(known) == 1


@pytest.mark.parametrize("nodes", ["parts", "neurons"])
def test_a_forgotten_tree_gives_the_same_answers(studio: Studio, photo: str, nodes: Any) -> None:
    query = TreeQuery(photo=photo, model="demo", nodes=nodes, branching=3)
    first = answer(studio, "tree", query).branch.nodes[0].id
    second = answer(studio, "tree/branch", FeatureQuery(**query.model_dump(), of=first)).nodes[0].id
    deep = FeatureQuery(**query.model_dump(), of=second)
    before = answer(studio, "tree/branch", deep)
    effects = answer(studio, "tree/effects", deep)
    for branching in (6, 7, 8):
        live_tree(studio, query.model_copy(update={"branching": branching}))
    assert answer(studio, "tree/branch", deep) == before  # without the way to it
    assert answer(studio, "tree/effects", deep) == effects


def test_what_is_no_node_is_one_sentence(studio: Studio, photo: str) -> None:
    for nodes, of, said in (
        ("parts", "9.1", "no part"),
        ("parts", "2.99", "parts 1 to 5"),
        ("parts", "beak", "names no feature"),
        ("neurons", "2.500.1.1", "no channel 500"),
        ("neurons", "2.5", "no neuron"),
    ):
        nodes_: Any = nodes
        with pytest.raises(FovealError, match=said):
            answer(studio, "tree/branch", FeatureQuery(photo=photo, model="demo", nodes=nodes_, of=of))


def test_opponents_are_measured_too(studio: Studio, photo: str) -> None:
    query = FeatureQuery(photo=photo, model="demo", nodes="neurons", opponents=2)
    branch, effects = (answer(studio, name, query) for name in ("tree/branch", "tree/effects"))
    assert {one.id for one in effects.effects} == {node.id for node in branch.nodes}
    # the network is linear after its last stage: a channel's effect is what it brings
    for one in effects.effects:
        brings = next(node.brings for node in branch.nodes if node.id == one.id)
        assert one.alone == pytest.approx(brings, abs=1e-3)

"""Trees joined by channel, and where two agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.errors import ResultError
from foveal.results.class_tree import ClassTree
from foveal.results.tree import Tree
from foveal.results.tree_overlap import overlap
from foveal.synthetic import class_scene, render

JAY = foveal.Margin("Fan-crested Jay", "Crown-crested Jay")


@pytest.fixture(scope="module")
def jays() -> ClassTree:
    pictures = [render(class_scene("Fan-crested Jay", seed))[0] for seed in range(4)]
    return foveal.class_tree(foveal.load_model("demo"), pictures, JAY, branching=3)


def flow_through(tree: Tree, stage: int, channel: int) -> float:
    """By its definition, from the tree's flow."""
    return sum(
        share
        for key, share in tree.flow().items()
        if key in tree.features and (tree.features[key].stage, tree.features[key].channel) == (stage, channel)
    )


def test_shares_are_means_over_the_pictures(jays: ClassTree) -> None:
    trees = jays.trees
    for (stage, channel), member in jays.members.items():
        flows = [flow_through(tree, stage, channel) for tree in trees]
        assert member.share == pytest.approx(np.mean(flows)) == pytest.approx(member.flow)
        assert member.shares == pytest.approx(flows) and np.isnan(member.values).all()
        assert member.presence == np.mean([flow > 0 for flow in flows]) == member.found / 4
        assert member.summary.low <= member.share <= member.summary.high
        assert member.layer == trees[0].stages[stage].name and 1 <= len(member.examples) <= 3
        assert (member.name, member.channels) == (f"{member.layer} channel {channel}", (channel,))
        for example in member.examples:
            assert example.edge.child.channel == channel and flows[example.image] >= example.carried > 0
    for level in (1, 2, 3):
        stage = len(trees[0].stages) - level
        held = sum(member.share for member in jays.members.values() if member.stage == stage)
        assert held == pytest.approx(np.mean([tree.kept()[level] for tree in trees]))
        into = sum(carried for (_, child), carried in jays.links.items() if child[0] == stage)
        assert into == pytest.approx(held)
        assert jays.rest(stage) == pytest.approx(1 - held)
        parents = {parent for parent, child in jays.links if child[0] == stage}
        lost = sum(jays.rests[parent] for parent in parents)
        assert sum(jays.members[p].flow if p in jays.members else 1 for p in parents) - lost == pytest.approx(into)


def test_the_same_channels_make_the_same_class(jays: ClassTree) -> None:
    """The three strongest channels of the last stage are the same in every picture; another class has others."""
    ibises = [render(class_scene("Coral Ibis", seed))[0] for seed in range(3)]
    other = foveal.class_tree(foveal.load_model("demo"), ibises, branching=3)
    last = len(jays.trees[0].stages) - 1
    top = [member for member in jays.members.values() if member.stage == last][:3]
    assert all(member.presence == 1 for member in top)
    difference = jays.contrast(other)
    first = {place for place, gap in list(difference.gaps.items())[:6] if gap.difference.mean > 0}
    assert first >= {(last, member.number) for member in top[:2]}
    place = (last, top[0].number)
    assert difference.gaps[place].here.mean == pytest.approx(top[0].share)
    assert other.contrast(jays).gaps[place].difference.mean == pytest.approx(-difference.gaps[place].difference.mean)
    with pytest.raises(ResultError, match="by='share'"):
        jays.contrast(other, by="score")
    alike, unlike = jays.trees[0].overlap(jays.trees[1]), jays.trees[0].overlap(other.trees[0])
    deep = jays.trees[0].stages[-1].name
    assert alike[deep] > 0.5 > unlike[deep]


def test_a_tree_agrees_with_itself_wholly(jays: ClassTree) -> None:
    one, other = jays.trees[:2]
    assert one.overlap(one) == pytest.approx({stage.name: 1.0 for stage in one.stages})
    assert one.overlap(other) == pytest.approx(other.overlap(one))
    assert all(0 <= share <= 1 for share in one.overlap(other).values())


def test_trees_of_different_networks_are_not_joined(jays: ClassTree) -> None:
    conv, pool = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)
    other = foveal.decompose(nn.Sequential(conv, nn.ReLU(), pool, nn.Flatten()), torch.rand(1, 3, 9, 9))
    with pytest.raises(ResultError, match="different networks"):
        overlap(jays.trees[0], other)
    with pytest.raises(ResultError, match="give at least one"):
        ClassTree(())


def test_on_the_command_line(tmp_path: Path) -> None:
    for seed in range(2):
        Image.fromarray(render(class_scene("Coral Ibis", seed))[0]).save(tmp_path / f"{seed}.png")
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app,
        ["decompose", str(tmp_path), "-m", "demo", "--branching", "2", "--depth", "2", "--together", "-o", str(out)],
    )
    assert done.exit_code == 0, done.stderr
    with Image.open(out / "together.png") as page:
        assert page.width > 300
    assert (out / "0" / "tree.html").exists()
    assert "2 images, demo" in done.stderr

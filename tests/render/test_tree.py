"""Trees as pages, as files, on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.errors import MethodError, ResultError
from foveal.render.feature import feature_picture, region, whole_map
from foveal.results.tree import Tree
from foveal.synthetic import Split, class_scene, render
from foveal.synthetic.scene import LABELS

if TYPE_CHECKING:
    from tests.conftest import NoTrace


@pytest.fixture(scope="module")
def tree() -> Tree:
    image = Split("classes", 20)[4].image
    target = foveal.Margin("Fan-crested Jay", "Crown-crested Jay")
    return foveal.decompose(foveal.load_model("demo"), image, target, branching=3).grow().audit()


def test_a_page_shows_the_strongest_of_each_stage(tree: Tree) -> None:
    page = tree.figure(most=8, side=96)
    assert page.width > 8 * 96 and page.height > 3 * 96
    assert tree.figure(most=4, side=96).width < page.width


def test_crops_show_what_a_neuron_sees(tree: Tree) -> None:
    for feature in tree.features.values():
        x0, y0, x1, y1 = region(tree, feature)
        side = tree.stages[feature.stage].receptive_field[0]
        assert 0 <= x0 < x1 <= 160 and 0 <= y0 < y1 <= 160
        assert x1 - x0 <= side + 1e-6 and y1 - y0 <= side + 1e-6
    for edge in tree.decision.edges or ():
        assert feature_picture(tree, edge, side=64).size == (64, 64)
        assert whole_map(tree, edge).sum() == pytest.approx(float(edge.map.sum()), rel=1e-5)


def test_the_deciding_part_is_what_the_tree_rests_on(tree: Tree) -> None:
    """The jays differ in their crests: at every stage the strongest features look there."""
    labels = Split("classes", 20)[4].labels
    for level in tree.levels()[1:]:
        best = max(level, key=lambda node: node.path_share)
        x0, y0, x1, y1 = (round(edge) for edge in region(tree, best.feature))
        assert (labels[y0:y1, x0:x1] == LABELS["crest"]).mean() > 0.2, str(best)


def test_what_is_found_lowers_its_parent_more_than_chance(tree: Tree) -> None:
    """Experiment 1 in small: the effects of found children against those of channels at random."""
    expander = tree.expander
    random = np.random.default_rng(0)
    found = [edge.effect for f in tree.features.values() for edge in f.edges or ()]
    from foveal.hierarchy.expansion import TreeExpander
    from foveal.results.feature_graph import Edge, Feature

    assert isinstance(expander, TreeExpander)
    chance = []
    for feature in [f for f in tree.features.values() if f.stage == 2]:
        edges = tuple(
            Edge(Feature(1, "stage1", (int(k),)), 0.0, 0.0, torch.zeros(1, 1))
            for k in random.choice(32, 5, replace=False)
        )
        other = replace(feature, edges=edges)
        expander.measure([other], lambda done, total: None)
        chance += [edge.effect for edge in edges]
    assert np.mean([e for e in found if e is not None]) > 3 * abs(np.mean([e for e in chance if e is not None]))


def test_saved_and_loaded(tmp_path: Path) -> None:
    """Everything that was known comes back; what was not cannot be asked for."""
    image = Split("classes", 20)[4].image
    target = foveal.Margin("Fan-crested Jay", "Crown-crested Jay")
    model = foveal.load_model("demo")
    for options in ({"opponents": 2}, {"nodes": "maps", "rule": "exact"}, {"merge": True, "nodes": "sums"}):
        tree = foveal.decompose(model, image, target, branching=2, **options).grow(2).look().audit()
        tree.save(tmp_path / "tree")
        loaded = Tree.load(tmp_path / "tree")
        assert str(loaded) == str(tree) and loaded.kept() == tree.kept() and loaded.stages == tree.stages
        assert np.array_equal(loaded.photo.pixels, tree.photo.pixels) and loaded.parameters == tree.parameters
        for key, feature in tree.features.items():
            other = loaded.features[key]
            assert feature.pattern and other.pattern and torch.equal(feature.pattern.values, other.pattern.values)
            assert (feature.pattern.region, feature.pattern.corner) == (other.pattern.region, other.pattern.corner)
            both = [(*(vertex.edges or ()), *vertex.opponents) for vertex in (feature, other)]
            for one, same in zip(*both, strict=True):
                assert torch.equal(one.map, same.map) and one.effect == same.effect
        assert np.array_equal(np.asarray(loaded.figure()), np.asarray(tree.figure()))
        with pytest.raises(ResultError, match="no network"):
            loaded.look("smoothgrad")
        with pytest.raises(ResultError, match="no network"):
            loaded.grow()
    (tmp_path / "tree" / "tree.npz").write_bytes(b"")
    with pytest.raises(ResultError, match="changed"):
        Tree.load(tmp_path / "tree")


def test_a_page_in_vectors_has_everything_the_picture_has(tree: Tree) -> None:
    root = ElementTree.fromstring(tree.svg(most=3))
    names = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert names.count("image") == 1 + 9 and names.count("line") >= 9
    assert any("Fan-crested Jay" in (element.text or "") for element in root.iter())


def test_patterns_are_derivatives_by_the_pixels(no_trace: NoTrace) -> None:
    """In a window as in the whole picture: x ⊙ ∂ y / ∂ x without noise, and the region that holds 95 % of it."""
    model = foveal.load_model("demo").module
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with no_trace(model):
        tree = foveal.decompose(model, x, 3, branching=2).grow().look("guided")
    kept: dict[str, torch.Tensor] = {}
    modules = dict(model.named_modules())
    handles = [
        modules[stage.name].register_forward_hook(lambda _m, _i, out, at=stage.name: kept.update({at: out}))
        for stage in tree.stages
    ]
    leaf = x.clone().requires_grad_()
    model(leaf)
    for handle in handles:
        handle.remove()
    for feature in tree.features.values():
        y = kept[feature.layer][0, feature.channel, feature.place[0], feature.place[1]]
        (g,) = torch.autograd.grad(y, leaf, retain_graph=True)
        mass = g.abs().double().sum((0, 1))
        assert feature.pattern
        x0, y0, x1, y1 = (round(value) for value in feature.pattern.region)
        assert float(mass[y0:y1, x0:x1].sum() / mass.sum()) >= 0.95
        row, column = feature.pattern.corner
        _, h, w = feature.pattern.values.shape
        outside = mass.clone()
        outside[row : row + h, column : column + w] = 0
        assert float(outside.sum()) <= 1e-6 * float(mass.sum())  # the window holds all that it depends on
        whole = tree.stages[feature.stage].receptive_field[0]
        assert y1 - y0 <= whole and x1 - x0 <= whole
    with pytest.raises(MethodError, match="guided, smoothgrad"):
        tree.look("edges")


def test_guided_patterns_are_those_of_guided_backpropagation() -> None:
    model = foveal.load_model("demo").module
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    tree = foveal.decompose(model, x, 3, branching=2).grow().look()
    for feature in tree.features.values():
        y, xx = feature.place
        target = foveal.Neuron(feature.layer, feature.channel, (y, xx))
        whole = foveal.explain(model, x, target, method="guidedbackprop").map[0]
        assert feature.pattern
        row, column = feature.pattern.corner
        own = feature.pattern.values.abs().amax(0)
        found = torch.zeros_like(whole)
        found[row : row + own.shape[0], column : column + own.shape[1]] = own
        assert torch.allclose(found, whole, atol=1e-5 * float(whole.max()))


def test_patterns_without_rules_differ_and_say_so() -> None:
    tree = foveal.decompose(foveal.load_model("demo"), Split("classes", 20)[4].image, branching=1).grow(1)
    (feature,) = tree.features.values()
    guided = tree.look("guided") and feature.pattern
    plain = tree.look("smoothgrad") and feature.pattern
    assert guided and plain and (guided.kind, plain.kind) == ("guided", "smoothgrad")
    assert not torch.allclose(guided.values, plain.values) and guided.region == plain.region


def test_on_the_command_line(tmp_path: Path) -> None:
    photo = tmp_path / "bird.png"
    Image.fromarray(render(class_scene("Coral Ibis", 3))[0]).save(photo)
    arguments = [
        "decompose",
        str(photo),
        "-m",
        "demo",
        "--branching",
        "2",
        "--depth",
        "2",
        "--audit",
        "-o",
        str(tmp_path / "out"),
    ]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    assert answer["target"].startswith("Coral Ibis") and len(answer["kept"]) == 3
    folder = tmp_path / "out" / "bird"
    tree = Tree.load(folder)
    assert len(tree.root.children) == 2 and all(len(node.children) == 2 for node in tree.root.children)
    assert tree.decision.edges and tree.decision.edges[0].effect is not None
    assert {"tree.png", "tree.pdf", "tree.svg", "tree.html"} < {path.name for path in folder.iterdir()}
    plain = CliRunner().invoke(app, arguments)
    assert plain.stdout.strip() == str(folder / "tree.png")
    assert CliRunner().invoke(app, [*arguments, "--rule", "nope"]).exit_code == 2

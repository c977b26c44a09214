"""Trees as pages, as files, on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.hierarchy.tree import Tree
from foveal.render.tree import feature_picture, region, whole_map
from foveal.world import Split, render, species_scene
from foveal.world.scene import LABELS


@pytest.fixture(scope="module")
def tree() -> Tree:
    image = Split("species", 20)[4].image
    target = foveal.Margin("Fan-crested Jay", "Crown-crested Jay")
    return foveal.decompose(foveal.load_model("demo"), image, target, branch=3).grow().audit()


def test_a_page_shows_the_strongest_of_each_stage(tree: Tree) -> None:
    page = tree.poster(most=4, side=96)
    assert page.width > 4 * 96 and page.height > 3 * 96
    assert tree.poster(most=2, side=96).width < page.width


def test_crops_show_what_a_neuron_sees(tree: Tree) -> None:
    for feature in tree.features.values():
        x0, y0, x1, y1 = region(tree, feature)
        side = tree.stages[feature.stage].receptive_field[0]
        assert 0 <= x0 < x1 <= 160 and 0 <= y0 < y1 <= 160
        assert x1 - x0 <= side + 1e-6 and y1 - y0 <= side + 1e-6
    for edge in tree.decision.edges or ():
        assert feature_picture(tree, edge.child, edge, side=64).size == (64, 64)
        assert whole_map(tree, edge).sum() == pytest.approx(float(edge.map.sum()), rel=1e-5)


def test_the_deciding_part_is_what_the_tree_rests_on(tree: Tree) -> None:
    """The jays differ in their crests: at every stage the strongest features look there."""
    labels = Split("species", 20)[4].labels
    for level in tree.levels()[1:]:
        best = max(level, key=lambda node: node.path_share)
        x0, y0, x1, y1 = (round(edge) for edge in region(tree, best.feature))
        assert (labels[y0:y1, x0:x1] == LABELS["crest"]).mean() > 0.2, str(best)


def test_what_is_found_lowers_its_parent_more_than_chance(tree: Tree) -> None:
    """Experiment 1 in small: the effects of found children against those of channels at random."""
    expander = tree.expander
    random = np.random.default_rng(0)
    found = [edge.effect for f in tree.features.values() for edge in f.edges or ()]
    from foveal.hierarchy.growth import Growth
    from foveal.hierarchy.tree import Edge, Feature

    assert isinstance(expander, Growth)
    chance = []
    for feature in [f for f in tree.features.values() if f.stage == 2]:
        edges = tuple(
            Edge(Feature(1, "stage1", (int(k),)), 0.0, 0.0, torch.zeros(1, 1))
            for k in random.choice(32, 5, replace=False)
        )
        other = replace(feature, edges=edges)
        expander.measure([other])
        chance += [edge.effect for edge in edges]
    assert np.mean([e for e in found if e is not None]) > 3 * abs(np.mean([e for e in chance if e is not None]))


def test_on_the_command_line(tmp_path: Path) -> None:
    photo = tmp_path / "bird.png"
    Image.fromarray(render(species_scene("Coral Ibis", 3))[0]).save(photo)
    arguments = [
        "tree",
        str(photo),
        "-m",
        "demo",
        "--branch",
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
    assert {path.name for path in folder.iterdir()} == {"tree.png", "tree.pdf", "tree.json"}
    saved = json.loads((folder / "tree.json").read_text())
    assert len(saved["tree"]["children"]) == 2 and len(saved["tree"]["children"][0]["children"]) == 2
    assert saved["tree"]["children"][0]["effect"] is not None
    plain = CliRunner().invoke(app, arguments)
    assert plain.stdout.strip() == str(folder / "tree.png")
    assert CliRunner().invoke(app, [*arguments, "--rule", "nope"]).exit_code == 1

"""Trees of parts joined: planted evidence is found again, means add up, and sets are contrasted."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.errors import ResultError
from foveal.results.class_contrast import ClassContrast
from foveal.results.class_tree import ClassTree
from foveal.results.tree import Tree
from foveal.synthetic import class_scene, render
from foveal.synthetic.scene import LABELS

FAN, CROWN = "Fan-crested Jay", "Crown-crested Jay"
IMAGES = 4


def pictures(name: str, count: int = IMAGES) -> list[np.ndarray]:
    return [render(class_scene(name, seed))[0] for seed in range(count)]


def joined(name: str, other: str) -> ClassTree:
    return foveal.class_tree(foveal.load_model("demo"), pictures(name), foveal.Margin(name, other), nodes="parts")


@pytest.fixture(scope="module")
def fans() -> ClassTree:
    return joined(FAN, CROWN)


@pytest.fixture(scope="module")
def crowns() -> ClassTree:
    return joined(CROWN, FAN)


def on_part(tree: Tree, seed: int, name: str, part: str) -> dict[int, float]:
    """Part of the last stage -> the share of its evidence that lies on what was drawn."""
    drawn = torch.from_numpy(np.asarray(render(class_scene(name, seed))[1]) == LABELS[part])
    tree.look("evidence")
    found = {}
    for feature in tree.features.values():
        if feature.stage == len(tree.stages) - 1 and feature.pattern and feature.part is not None:
            map = feature.pattern.values.abs().sum(0)
            found[feature.part] = float(map[drawn].sum() / map.sum())
    return found


def test_the_crest_is_found_again_and_holds_what_it_held(fans: ClassTree) -> None:
    """In the drawn world the crest decides the margin to the sibling: each tree's crest is the same joined part."""
    last = len(fans.trees[0].stages) - 1
    top = next(member for member in fans.members.values() if member.stage == last)
    crests = []
    for number, tree in enumerate(fans.trees):
        lying = on_part(tree, number, FAN, "crest")
        part = max(lying, key=lambda part: lying[part])
        assert lying[part] > 0.7 and fans.joining.places[number][last, part] == (last, top.number)
        feature = tree.features[last, part]
        crests.append(feature.value / (tree.decision.value - tree.decision.offset))
    assert top.found == IMAGES and not top.is_alone and top.alike > 0.8
    assert top.share == pytest.approx(np.mean(crests), rel=1e-3) and top.share > 0.5


def test_means_and_rests_add_up(fans: ClassTree) -> None:
    top = len(fans.trees[0].stages)
    for stage in range(top):
        members = [member for member in fans.members.values() if member.stage == stage]
        for number, tree in enumerate(fans.trees):
            shown = sum(f.value for f in tree.features.values() if f.stage == stage)
            whole = tree.decision.pro - tree.decision.contra
            assert sum(member.shares[number] for member in members) == pytest.approx(shown / whole, rel=1e-3)
            assert sum(member.values[number] for member in members) == pytest.approx(shown, rel=1e-3)
        assert sum(member.share for member in members) + fans.rest(stage) == pytest.approx(1)
        flows = [sum(f for key, f in tree.flow().items() if key[0] == stage) for tree in fans.trees]
        assert sum(member.flow for member in members) == pytest.approx(np.mean(flows))
        assert sum(carried for (_, child), carried in fans.links.items() if child[0] == stage) == pytest.approx(
            np.mean(flows)
        )
    for parent, rest in fans.rests.items():
        held = sum(carried for (above, _), carried in fans.links.items() if above == parent)
        flow = fans.members[parent].flow if parent in fans.members else 1.0
        assert held + rest == pytest.approx(flow)
    assert fans.rests[top, -1] == pytest.approx(fans.rest(top - 1), abs=1e-4)


def test_every_part_is_in_one_joined_part_that_has_one_of_each_image(fans: ClassTree) -> None:
    for tree, places in zip(fans.trees, fans.joining.places, strict=True):
        parts = [places[key] for key in tree.features]
        assert len(set(parts)) == len(parts)
    for place, member in fans.members.items():
        assert member.found == sum(place in places.values() for places in fans.joining.places)
        assert np.isnan(member.alike) == (member.found == 1) == member.is_alone
        assert member.profile is not None and float(member.profile.sum()) == pytest.approx(1)
        assert member.channels[0] == int(member.profile.argmax())


def test_the_order_of_images_does_not_matter(fans: ClassTree) -> None:
    turned = fans.select(range(IMAGES - 1, -1, -1))
    assert {m.name: m.share for m in turned.members.values()} == pytest.approx(
        {m.name: m.share for m in fans.members.values()}
    )


def test_the_same_image_twice_is_the_same_parts_twice(fans: ClassTree) -> None:
    twice = fans.select([0, 0])
    assert all(member.found == 2 and member.alike == pytest.approx(1) for member in twice.members.values())
    one = fans.trees[0]
    assert one.overlap(one) == pytest.approx({stage.name: 1.0 for stage in one.stages})
    assert fans.select([0]).members and not any(m.is_alone for m in fans.select([0]).members.values())


def test_a_part_like_none_is_alone(fans: ClassTree) -> None:
    """Its evidence lies in a channel that no other part has."""
    last = len(fans.trees[0].stages) - 1
    known = torch.stack(
        [m.profile for (stage, _), m in fans.members.items() if stage == last and m.profile is not None]
    )
    decision, features = deepcopy((fans.trees[0].decision, fans.trees[0].features))
    odd = max((feature for feature in features.values() if feature.stage == last), key=lambda feature: feature.value)
    odd.profile = torch.zeros(known.shape[1])
    odd.profile[int(known.amax(0).argmin())] = 1
    changed = ClassTree((replace(fans.trees[0], decision=decision, features=features), *fans.trees[1:]))
    member = changed.members[changed.joining.places[0][odd.key]]
    assert member.is_alone and np.isnan(member.alike) and member.presence == 1 / IMAGES
    assert member.share == pytest.approx(odd.value / (decision.value - decision.offset) / IMAGES, rel=1e-3)


def test_overlap_is_high_within_a_class_and_symmetric(fans: ClassTree, crowns: ClassTree) -> None:
    deep = fans.trees[0].stages[-1].name
    a, b, other = fans.trees[0], fans.trees[1], crowns.trees[1]
    assert a.overlap(b) == pytest.approx(b.overlap(a))
    assert a.overlap(b)[deep] > 0.5 > a.overlap(other)[deep]


def test_the_crests_are_what_two_kinds_of_jays_differ_in(fans: ClassTree, crowns: ClassTree) -> None:
    contrast = fans.contrast(crowns, ("fan", "crown"))
    last = len(fans.trees[0].stages) - 1
    gaps = [gap for (stage, _), gap in contrast.gaps.items() if stage == last]
    for gap, side in ((max(gaps, key=lambda g: g.difference.mean), 0), (min(gaps, key=lambda g: g.difference.mean), 1)):
        assert gap.is_decided and abs(gap.difference.mean) > 0.5
        here, there = gap.members[side], gap.members[1 - side]
        assert here is not None and here.found == IMAGES and (there is None or there.found < IMAGES / 2)
        assert gap.difference.mean == pytest.approx(gap.here.mean - gap.there.mean)
    back = crowns.contrast(fans).gaps
    assert sorted(-gap.difference.mean for gap in back.values()) == pytest.approx(
        sorted(gap.difference.mean for gap in contrast.gaps.values())
    )


def test_right_and_wrong_decisions_differ_by_the_score(fans: ClassTree) -> None:
    """In units of the score, the gaps of a stage and what is not shown are the difference of the mean scores."""
    model = foveal.load_model("demo")
    trees = foveal.class_tree(model, [*pictures(FAN, 3), *pictures(CROWN, 3)], foveal.Margin(FAN, CROWN), depth=1,
                              nodes="parts")  # fmt: skip
    contrast = trees.right_and_wrong()
    assert contrast.names == ("right", "wrong") and (contrast.here, contrast.there) == (
        trees.trees[:3],
        trees.trees[3:],
    )
    taken = [tree.decision.value - tree.decision.offset for tree in trees.trees]
    gap = sum(gap.difference.mean for gap in contrast.gaps.values())
    assert gap == pytest.approx(np.mean(taken[:3]) - np.mean(taken[3:]), rel=1e-3)
    assert any("below the reference's" in note for note in trees.notes) and "below the reference's" in str(trees)
    by_share = trees.select([0, 1, 2]).contrast(trees.select([3, 4, 5]))
    assert trees.cautions[0] in by_share.notes and trees.cautions[0] not in contrast.notes
    assert any("too narrow" in note for note in contrast.notes)
    with pytest.raises(ResultError, match="in each of 4 images"):
        fans.right_and_wrong()


def test_kept_on_disk(fans: ClassTree, crowns: ClassTree, tmp_path: Path) -> None:
    two = fans.select([0, 1])
    again = ClassTree.load(two.save(tmp_path / "fans"))
    assert again.to_dict() == two.to_dict() and str(again) == str(two)
    contrast = two.contrast(crowns.select([0]))
    assert ClassContrast.load(contrast.save(tmp_path / "contrast")).to_dict() == contrast.to_dict()
    with pytest.raises(ResultError, match="one at least"):
        ClassContrast(fans.trees, ())


def test_on_the_command_line(tmp_path: Path) -> None:
    for name, folder in ((FAN, "fans"), (CROWN, "crowns")):
        (tmp_path / folder).mkdir()
        for number, picture in enumerate(pictures(name, 2)):
            Image.fromarray(picture).save(tmp_path / folder / f"{number}.png")
    fans, crowns, out = str(tmp_path / "fans"), str(tmp_path / "crowns"), str(tmp_path / "out")
    options = ["-m", "demo", "--nodes", "parts", "--depth", "1", "--target", FAN, "--json", "-o", out]
    done = CliRunner().invoke(app, ["decompose", fans, crowns, *options, "--contrast", crowns, "--right-and-wrong"])
    assert done.exit_code == 0, done.stderr
    *photos, together, contrast, decided = json.loads(done.stdout)
    assert len(photos) == 4 and together["members"] and contrast["gaps"][0]["difference"]["mean"]
    assert decided["by"] == "score" and [len(side) for side in decided["pictures"]] == [2, 2]
    for row in (together, contrast, decided):
        with Image.open(row["page"]) as page:
            assert page.width > 300
    alike = CliRunner().invoke(app, ["decompose", f"{fans}/0.png", *options, "--right-and-wrong"])
    assert "in each of 1 image:" in alike.stderr and len(json.loads(alike.stdout)) == 2

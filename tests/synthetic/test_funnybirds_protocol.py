"""The protocol's checks, on a hand-made classifier whose reasons are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foveal.synthetic import SceneError, class_scene, creature_of
from foveal.synthetic.funnybirds_protocol import (
    background_independence,
    chimera,
    deletion,
    distractibility,
    important_parts,
    preservation,
    single_deletion,
    target_sensitivity,
)

SCENES = [
    replace(class_scene("Collared Plover", seed, background="water"), occluder=None).with_variant(
        "beak", color="scarlet", pattern="plain"
    )
    for seed in (1, 2, 3)
]
SCENES = [replace(scene, distractors=replace(scene.distractors, count=0)) for scene in SCENES]


def sees_red(images: np.ndarray) -> np.ndarray:
    """Class 1 if some thing larger than an eye is red."""
    r, g, b = np.moveaxis(images.astype(int), 3, 0)
    return (((r > 2 * g) & (r > 2 * b)).sum((1, 2)) > 90).astype(int)


def test_the_classifier_is_as_planned() -> None:
    from foveal.synthetic import render

    images = np.stack([render(scene)[0] for scene in SCENES])
    assert sees_red(images).all()
    assert not sees_red(np.stack([render(scene.without("beak"))[0] for scene in SCENES])).any()


def test_preservation_and_deletion_know_the_reason() -> None:
    right, wrong = [{"beak"}] * 3, [{"tail", "legs"}] * 3
    assert preservation(SCENES, right, sees_red).all()
    assert not preservation(SCENES, wrong, sees_red).any()
    assert deletion(SCENES, right, sees_red).all()
    assert not deletion(SCENES, wrong, sees_red).any()


def test_important_parts_reach_half_of_the_largest() -> None:
    assert important_parts({"beak": 1.0, "tail": 0.5, "eye": 0.49, "legs": -3.0}) == {"beak", "tail"}
    assert important_parts({"beak": 0.0, "tail": -1.0}) == frozenset()
    assert important_parts({}) == frozenset()


def test_single_deletion_ranks_removable_parts_only() -> None:
    truth = {"beak": 3.0, "tail": 2.0, "wing": 1.0, "body": 100.0}
    assert single_deletion({"beak": 9, "tail": 5, "wing": 1, "body": 0}, truth) == pytest.approx(1)
    assert single_deletion({"beak": 1, "tail": 5, "wing": 9, "body": 0}, truth) == pytest.approx(-1)
    assert np.isnan(single_deletion({"beak": 1.0}, truth))


def test_distractibility_asks_about_irrelevant_parts() -> None:
    truth = {"beak": 10.0, "tail": 0.1, "wing": -0.2, "legs": 4.0}
    assert distractibility({"beak": 1, "tail": 0, "wing": 0, "legs": 1}, truth) == 1
    assert distractibility({"beak": 1, "tail": 0.9, "wing": 0, "legs": 1}, truth) == 0.5
    assert np.isnan(distractibility({"beak": 1.0}, {"beak": 1.0}))


def test_a_chimera_has_the_others_parts_and_only_those() -> None:
    mixed = chimera(SCENES[0], "Coral Ibis", ["tail", "wing"])
    for part in ("tail", "wing"):
        assert mixed.creature[part] == creature_of("Coral Ibis")[part]
    assert mixed.without("tail").without("wing") == SCENES[0].without("tail").without("wing")
    with pytest.raises(SceneError, match="choose parts that do"):
        chimera(class_scene("Coral Ibis", 1), "Coral Spoonbill", ["tail"])


def test_target_sensitivity_wants_the_share_to_follow() -> None:
    mine, yours = {"beak": 3.0, "tail": 1.0}, {"beak": 1.0, "tail": 1.0}
    assert target_sensitivity(mine, yours, ["tail"])
    assert not target_sensitivity(yours, mine, ["tail"])
    assert not target_sensitivity(mine, mine, ["tail"])


def test_background_independence_counts_small_effects() -> None:
    assert background_independence(np.array([0.1, -0.1, 3.0, 0.0]), np.array([4.0, 4.0, 4.0, 4.0])) == 0.75

"""Scores of a map against the truth: planted maps get the score they deserve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from foveal.synthetic import LABELS, PARTS, class_scene, render
from foveal.synthetic.agreement import hit, part_importance, rank_correlation, share, top_part

drawn = render(replace(class_scene("Violet Roller", 4), occluder=None))[1]


def painted(values: dict[str, float]) -> np.ndarray:
    """A map that has the given value on each part."""
    map = np.zeros(drawn.shape)
    for part, value in values.items():
        map[drawn == LABELS[part]] = value
    return map


@pytest.mark.parametrize("part", PARTS)
def test_a_map_on_one_part_points_at_it(part: str) -> None:
    map = painted({part: 1.0, "body": 0.3}) if part != "body" else painted({"body": 1.0})
    assert top_part(map, drawn) == part
    assert hit(map, drawn, part)
    assert share(painted({part: 2.0}), drawn, {part}) == 1
    assert share(painted({part: 2.0}), drawn, set(PARTS) - {part}) == 0


def test_a_constant_map_is_equally_important_everywhere_in_the_mean_but_not_in_the_sum() -> None:
    constant = np.full(drawn.shape, 3.0)
    assert set(part_importance(constant, drawn).values()) == {3.0}
    sums = part_importance(constant, drawn, by="sum")
    assert sums == {part: 3.0 * (drawn == LABELS[part]).sum() for part in PARTS}


def test_a_constant_map_fits_nothing() -> None:
    assert set(part_importance(np.full(drawn.shape, 3.0), drawn, by="fit").values()) == {0.0}


def test_a_blurred_spot_on_the_head_is_the_heads_by_fit_though_the_eye_is_its_middle() -> None:
    ys, xs = np.indices(drawn.shape)
    eye = np.argwhere(drawn == LABELS["eye"]).mean(0)
    head = np.argwhere(np.isin(drawn, [LABELS["head"], LABELS["eye"]]))
    spot = np.clip(1 - np.hypot(ys - eye[0], xs - eye[1]) / np.ptp(head[:, 0]), 0, None)
    assert top_part(spot, drawn, by="mean") == "eye"
    assert top_part(spot, drawn, by="fit") == "head"
    assert top_part(painted({"eye": 1.0}), drawn, by="fit") == "eye"


@pytest.mark.parametrize("part", PARTS)
def test_the_fit_is_the_correlation_with_the_mask(part: str) -> None:
    map = np.random.default_rng(0).random(drawn.shape)
    inside = drawn > 0
    expected = stats.pearsonr(map[inside], (drawn[inside] == LABELS[part]).astype(float)).statistic
    assert part_importance(map, drawn, by="fit")[part] == pytest.approx(expected)
    assert part_importance(painted({part: 2.0}), drawn, by="fit")[part] == pytest.approx(1)


def test_negative_evidence_does_not_count() -> None:
    map = painted({"beak": 1.0, "wing": -9.0})
    assert part_importance(map, drawn)["wing"] == 0
    assert share(map, drawn, {"beak"}) == 1
    assert share(-np.abs(map), drawn, {"beak"}) == 0


def test_invisible_parts_are_left_out() -> None:
    assert "mark" not in part_importance(np.ones(drawn.shape), drawn)
    assert "background" not in part_importance(np.ones(drawn.shape), drawn)


def test_the_right_order_of_parts_correlates_fully() -> None:
    truth = {part: float(rank) for rank, part in enumerate(PARTS)}
    assert rank_correlation(painted(truth), drawn, truth) == pytest.approx(1)
    backwards = {part: -value for part, value in truth.items()}
    assert rank_correlation(painted(truth), drawn, backwards) == pytest.approx(-1)


def test_a_map_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"\(20, 20\) does not fit labels of \(160, 160\)"):
        part_importance(np.ones((20, 20)), drawn)

"""Whether a map is right: planted maps on a drawn scene."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.report.answers.truth import part_rows, sided, species_looks, verdict_of
from foveal.synthetic import LABELS, creature_of, demo_scenes, render

SCENE = demo_scenes()[2]
labeled = render(SCENE)[1]
EFFECTS = {"crest": 4.0, "eye": 0.5, "beak": -0.2, "background": 0.3}


def marking(part: str) -> np.ndarray:
    """A map of ones on a part."""
    return (labeled == LABELS[part]).astype(float)


@pytest.mark.parametrize(
    ("effects", "map", "verdict"),
    [
        (EFFECTS, marking("crest"), ("crest", "crest", "right")),
        (EFFECTS, marking("eye"), ("crest", "eye", "wrong")),
        (EFFECTS, -marking("crest"), ("crest", None, "marks nothing")),
        (EFFECTS | {"crest": 0.4}, marking("eye"), (None, "eye", "no part decides")),
        (EFFECTS | {"crest": -4.0}, -marking("crest") + marking("eye"), ("crest", "crest", "right")),
        (EFFECTS | {"crest": -4.0}, marking("crest"), ("crest", None, "marks nothing")),
        (EFFECTS | {"background": 9.0}, marking("background") + marking("eye"), ("background", "background", "right")),
        (dict.fromkeys(EFFECTS, 0.0), marking("eye"), (None, "eye", "no part decides")),
    ],
)
def test_the_verdict_compares_the_largest_effect_with_the_strongest_part(
    effects: dict[str, float], map: np.ndarray, verdict: tuple[str | None, str | None, str]
) -> None:
    assert verdict_of(effects, 5.0, labeled, sided(map, effects)) == verdict


def test_where_the_network_did_not_look_there_is_no_evidence() -> None:
    map = marking("crest")
    map[:20] = np.nan
    rows = part_rows(SCENE, labeled, EFFECTS, sided(map, EFFECTS))
    assert [row.part for row in rows] == ["crest", "eye", "background", "beak"]
    assert [row.share for row in rows] == [1, 0, 0, 0]


def test_each_other_look_is_offered_once() -> None:
    looks = [creature_of(species)["crest"] for species in species_looks(SCENE, "crest")]
    assert len(looks) == len(set(looks))
    assert SCENE.creature["crest"] not in looks

"""The species: siblings differ in exactly one part, and all others in several."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from foveal.synthetic import (
    CLASS_NAMES,
    LABELS,
    NOVEL,
    PARTS,
    SceneError,
    creature_of,
    differing_parts,
    render,
    sibling,
)
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import PARTS as ALL_PARTS


def test_ten_sibling_pairs_differ_in_exactly_one_part() -> None:
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES)) == 20
    deciding = []
    for one, other in zip(CLASS_NAMES[::2], CLASS_NAMES[1::2], strict=True):
        assert sibling(one) == other
        assert sibling(other) == one
        assert len(differing_parts(one, other)) == 1
        deciding += differing_parts(one, other)
    assert len(set(deciding)) >= 7  # of eight parts


def test_no_two_others_share_more_than_three_looks() -> None:
    for one, other in combinations((*CLASS_NAMES, *NOVEL), 2):
        if one in NOVEL or sibling(one) != other:
            assert len(differing_parts(one, other)) >= len(PARTS) - 3, (one, other)


@pytest.mark.parametrize("first", CLASS_NAMES[::2])
def test_siblings_in_the_same_scene_differ_in_the_deciding_part_alone(first: str) -> None:
    second = sibling(first)
    (part,) = differing_parts(first, second)
    one, other = class_scene(first, 11), class_scene(second, 11)
    (image, labels), (image2, labels2) = render(one), render(other)
    same_outline = labels == labels2
    touched = (image != image2).any(2)
    own = (labels == LABELS[part]) | (labels2 == LABELS[part])
    assert touched[own].mean() > 0.2
    assert (own | same_outline | ~touched).mean() == 1
    contrast = np.abs(image.astype(int) - image2)[own].sum(1)
    assert contrast.max() > 150  # plain to see
    assert (contrast > 60).sum() > 25


def test_new_species_are_new() -> None:
    assert len(NOVEL) == 10
    assert not set(NOVEL) & set(CLASS_NAMES)
    assert {creature_of(name) for name in NOVEL}.isdisjoint(creature_of(name) for name in CLASS_NAMES)


def test_species_have_all_parts() -> None:
    assert all(None not in creature_of(name).looks for name in (*CLASS_NAMES, *NOVEL))
    assert ALL_PARTS == PARTS


def test_an_unknown_species_is_an_error() -> None:
    with pytest.raises(SceneError, match=r"no species is called 'Dodo'.*Barred Finch"):
        creature_of("Dodo")
    with pytest.raises(SceneError, match="has no sibling"):
        sibling(NOVEL[0])

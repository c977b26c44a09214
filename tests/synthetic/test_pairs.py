"""Pairs and individuals: what is shared is known."""

from __future__ import annotations

import pytest

from foveal.synthetic import PositivePairs, Scene, SceneError, marks_of, shared_parts, sibling


def test_same_species_share_all_and_siblings_all_but_one() -> None:
    for index, pair in enumerate(PositivePairs("classes", 40)):
        assert pair.same == (index % 2 == 0)
        assert pair.same == (pair.first.class_name == pair.second.class_name)
        if pair.same:
            assert len(pair.shared) == 8
        elif pair.second.class_name == sibling(pair.first.class_name):
            assert len(pair.shared) == 7
        else:
            assert len(pair.shared) <= 3


def test_same_individuals_share_their_marks() -> None:
    for index, pair in enumerate(PositivePairs("individuals", 40)):
        assert pair.same == (index % 2 == 0)
        assert pair.same == (pair.first.individual_marks == pair.second.individual_marks)
        assert not pair.same or "mark" in pair.shared
        assert set(pair.shared) - {"mark"} == set(shared_parts(_unmarked(pair.first), _unmarked(pair.second)))


def _unmarked(scene: Scene) -> Scene:
    return scene.without("mark")


def test_no_two_individuals_look_the_same() -> None:
    assert len({marks_of(individual) for individual in range(90)}) == 90
    looks = {tuple((m.host, m.x, m.kind, m.color) for m in marks_of(i)) for i in range(90)}
    assert len(looks) == 90
    assert all(len({(m.x, m.y) for m in marks_of(i)}) == 3 for i in range(90))
    with pytest.raises(SceneError, match="no individual 90"):
        marks_of(90)

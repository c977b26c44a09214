"""Scenes are values; an intervention changes what it says and leaves the rest of the picture alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foveal.synthetic import LABELS, PARTS, REMOVABLE, Scene, SceneError, class_scene, render
from foveal.synthetic.scene import Occluder

SCENES = [
    class_scene("Coral Spoonbill", 1),
    replace(class_scene("Lyre-tailed Pheasant", 2), occluder=Occluder("grass", 3)),
    replace(class_scene("Gold-eyed Starling", 3), occluder=Occluder("twig", 4)),
]
SHADOW = 12  # pixels by which a part's own shadow and the camera's blur may reach beyond it


def dilated(mask: np.ndarray, reach: int) -> np.ndarray:
    """Everything within `reach` of the mask, slowly."""
    h, w = mask.shape
    grown = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        grown[max(0, y - reach) : min(h, y + reach + 1), max(0, x - reach) : min(w, x + reach + 1)] = True
    return grown


def changed(one: Scene, other: Scene) -> np.ndarray:
    return (render(one)[0] != render(other)[0]).any(2)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.class_name)
@pytest.mark.parametrize("part", REMOVABLE)
def test_without_a_part_nothing_else_changes(scene: Scene, part: str) -> None:
    _, labels = render(scene)
    _, left = render(scene.without(part))
    touched = changed(scene, scene.without(part))
    assert touched.any()
    assert not (touched & ~dilated(labels == LABELS[part], SHADOW)).any()
    assert not (left == LABELS[part]).any()
    elsewhere = labels != LABELS[part]
    # where another part was on top, it still is; the only other labels that move are at the part's soft edge
    assert (left[elsewhere] == labels[elsewhere]).all()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.class_name)
@pytest.mark.parametrize("part", REMOVABLE)
def test_the_label_map_is_the_difference_of_pictures_with_and_without(scene: Scene, part: str) -> None:
    scene = replace(scene, camera=replace(scene.camera, blur=0), distractors=replace(scene.distractors, count=0))
    _, labels = render(scene)
    touched = changed(scene, scene.without(part))
    own = labels == LABELS[part]
    # a pixel may by chance be of the color behind it, hardly ever many
    assert touched[own].mean() > 0.93
    if part != "wing":  # a wing also casts a shadow on the body
        assert not (touched & ~dilated(own, 4)).any()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.class_name)
def test_another_look_changes_only_the_part(scene: Scene) -> None:
    for part in PARTS:
        other = scene.with_variant(part, color="ink", accent="amber", pattern="tipped")
        union = (render(scene)[1] == LABELS[part]) | (render(other)[1] == LABELS[part])
        assert not (changed(scene, other) & ~dilated(union, SHADOW)).any()


def test_another_shape_changes_only_the_part() -> None:
    scene = SCENES[0]
    for shape in ("cone", "hooked", "sickle", "great"):
        other = scene.with_variant("beak", shape)
        union = (render(scene)[1] == LABELS["beak"]) | (render(other)[1] == LABELS["beak"])
        assert not (changed(scene, other) & ~dilated(union, 4)).any()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.class_name)
def test_another_background_leaves_creature_and_labels(scene: Scene) -> None:
    kind = "sand" if scene.backdrop.kind != "sand" else "water"
    other = scene.with_background(kind)
    assert (render(scene)[1] == render(other)[1]).all()
    inside = ~dilated(np.isin(render(scene)[1], [0, LABELS["occluder"]]), 3 + scene.camera.blur)
    assert inside.sum() > 200
    difference = np.abs(render(scene)[0].astype(int) - render(other)[0]).max(2)[inside]
    # where the soft edges of three parts meet, a trace of what lies behind shines through
    assert (difference > 0).sum() <= 8
    assert difference.max() <= 8


def test_moving_moves_the_creature_and_nothing_else() -> None:
    scene = replace(class_scene("Coral Ibis", 5), occluder=None)
    moved = scene.moved(6, 2)
    before, after = render(scene)[1], render(moved)[1]
    assert (np.roll(before, (2, 6), (0, 1)) == after)[20:-20, 20:-20].all()
    far = ~dilated((before > 0) | (after > 0), 60)
    assert not changed(scene, moved)[far].any()


def test_a_shifted_part_is_the_same_part_elsewhere() -> None:
    scene = replace(class_scene("Coral Ibis", 5), occluder=None)
    wing = LABELS["wing"]  # nothing is drawn over it
    before, after = render(scene)[1] == wing, render(scene.shifted("wing", 7, -5))[1] == wing
    assert (np.roll(before, (-5, 7), (0, 1)) == after).all()
    others = [part for part in PARTS if part != "wing"]
    still = scene.without("wing"), scene.shifted("wing", 7, -5).without("wing")
    assert all(((render(still[0])[1] == LABELS[p]) == (render(still[1])[1] == LABELS[p])).all() for p in others)


def test_the_head_takes_along_what_is_on_it_and_the_body_everything() -> None:
    scene = replace(class_scene("Fan-crested Jay", 2), occluder=None)
    before, after = render(scene)[1], render(scene.shifted("head", 4, -6))[1]
    for part in ("eye", "beak"):  # nothing is drawn over them here
        assert (np.roll(before == LABELS[part], (-6, 4), (0, 1)) == (after == LABELS[part])).mean() > 0.999
    assert {shift.part for shift in scene.shifted("head", 4, -6).shifts} == {"head", "eye", "beak", "crest"}
    assert scene.shifted("body", 3, 1) == scene.moved(3, 1)


def test_shifts_add_up_and_come_back() -> None:
    scene = class_scene("Coral Ibis", 5)
    assert scene.shifted("tail", 3).shifted("tail", 1, 2) == scene.shifted("tail", 4, 2)
    assert scene.shifted("head", 3, 1).shifted("head", -3, -1) == scene
    with pytest.raises(SceneError, match="no part is called 'hat'"):
        scene.shifted("hat", 1)


def test_marks_go_with_their_host() -> None:
    from foveal.synthetic import individual_scene

    scene = individual_scene(3, 1)
    hosts = {mark.host for mark in scene.individual_marks}
    assert (render(scene)[1] == LABELS["mark"]).any()
    assert not (render(scene.without("mark"))[1] == LABELS["mark"]).any()
    for host in hosts & set(REMOVABLE):
        assert all(mark.host != host for mark in scene.without(host).individual_marks)


def test_errors_name_what_can_be_chosen() -> None:
    scene = SCENES[0]
    with pytest.raises(SceneError, match=r"without 'body'.*beak"):
        scene.without("body")
    with pytest.raises(SceneError, match=r"no part is called 'horn'.*crest"):
        scene.with_variant("horn", "long")
    with pytest.raises(SceneError, match=r"no beak is shaped 'long'.*sickle"):
        render(scene.with_variant("beak", "long"))
    with pytest.raises(SceneError, match="no color is called 'mud'"):
        render(scene.with_variant("beak", color="mud"))
    with pytest.raises(SceneError, match="no pattern is called 'checks'"):
        render(scene.with_variant("beak", pattern="checks"))
    with pytest.raises(SceneError, match=r"no background is called 'ice'.*sand"):
        render(scene.with_background("ice"))
    with pytest.raises(SceneError, match="has none"):
        scene.without("beak").with_variant("beak", "cone")


def test_a_scene_as_code_is_that_scene() -> None:
    import foveal
    from foveal.synthetic import demo_scenes, scene
    from foveal.synthetic.scene_code import look_code, scene_code

    known = {"foveal": foveal} | vars(scene)
    one = demo_scenes()[2]
    for other in (one, class_scene("Dune Hoopoe", 7), one.shifted("tail", 2.5, -1).without("crest")):
        assert eval(scene_code(other), dict(known)) == other
    assert len(scene_code(one)) < 50
    changed = eval(f"scene{look_code('beak', 'Coral Ibis')}", known | {"scene": one})
    assert changed == one.with_look("beak", foveal.synthetic.creature_of("Coral Ibis")["beak"])

"""True importance: scores with planted causes have effects there and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foveal.synthetic import PARTS, Scene, class_scene, effects, individual_scene, render
from foveal.synthetic.effects import changes, other_looks
from foveal.synthetic.palette import rgb
from foveal.synthetic.scene import REMOVABLE

PLAIN = [
    replace(class_scene(name, seed, background="water"), occluder=None)
    for name, seed in (("Coral Ibis", 1), ("Barred Finch", 2), ("Fan-crested Jay", 3))
]


def amount_of(color: str):  # type: ignore[no-untyped-def]
    """A hand-made network: how many pixels are of one hue, seen through soft thresholds."""
    hue = rgb(color) / rgb(color).sum()

    def score(images: np.ndarray) -> np.ndarray:
        images = images.astype(np.float64)
        distance = np.abs(images / (images.sum(3, keepdims=True) + 1) - hue).sum(3)
        return np.clip(1 - distance / 0.2, 0, None).sum((1, 2))

    return score


def test_a_network_that_sees_the_beaks_color_depends_on_the_beak_alone() -> None:
    # no other part, background or clutter is of this green
    scenes = [
        replace(s, distractors=replace(s.distractors, count=0)).with_variant("beak", color="moss", pattern="plain")
        for s in (PLAIN[0], PLAIN[2])
    ]
    found = effects(scenes, amount_of("moss"), alternatives=3)
    beak = PARTS.index("beak")
    others = [k for k in range(len(PARTS)) if k != beak and PARTS[k] != "body" and PARTS[k] != "head"]
    assert (found.single[:, beak] > 50).all()
    assert (np.abs(found.single[:, others]).max(1) < 0.1 * found.single[:, beak]).all()


def test_effects_are_what_intervening_by_hand_gives() -> None:
    score = amount_of("coral")

    def d(scene: Scene) -> float:
        return float(score(render(scene)[0][None])[0])

    found = effects(PLAIN, score, pairs=True, alternatives=2, batch=7)
    for i, scene in enumerate(PLAIN):
        assert found.score[i] == pytest.approx(d(scene))
        for part in REMOVABLE:
            assert found.single[i, PARTS.index(part)] == pytest.approx(d(scene) - d(scene.without(part)))
        for part in ("body", "head"):
            mean = np.mean([d(scene.with_look(part, look)) for look in other_looks(scene, part)[:2]])
            assert found.single[i, PARTS.index(part)] == pytest.approx(d(scene) - mean)
        kinds = ("foliage", "sand", "sky", "stones")
        assert found.background[i] == pytest.approx(d(scene) - np.mean([d(scene.with_background(k)) for k in kinds]))
        both = scene.without("beak").without("tail")
        assert found.pair is not None
        assert found.pair[i, PARTS.index("beak"), PARTS.index("tail")] == pytest.approx(d(scene) - d(both))


def test_the_batch_size_does_not_matter() -> None:
    one = effects(PLAIN, amount_of("coral"), batch=3)
    other = effects(PLAIN, amount_of("coral"), batch=200)
    assert (one.single == other.single).all()


def test_an_irrelevant_background_pixel_has_no_effect() -> None:
    found = effects(PLAIN, lambda images: images[:, 0, 0].mean(1).astype(float), alternatives=2)
    assert (np.abs(found.single) < 1e-9).all()
    assert (np.abs(found.background) > 1).all()


def test_parts_that_add_up_do_not_interact_and_products_do() -> None:
    def halves(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        left, right = images[:, :, :80].astype(float).mean((1, 2, 3)), images[:, :, 80:].astype(float).mean((1, 2, 3))
        return left, right

    added = effects(PLAIN, lambda images: sum(halves(images)), pairs=True)  # type: ignore[arg-type, return-value]
    multiplied = effects(PLAIN, lambda images: np.prod(halves(images), 0), pairs=True)
    beak, tail = PARTS.index("beak"), PARTS.index("tail")
    assert np.abs(added.interaction()[:, beak, tail]).max() < 1e-9
    assert np.abs(multiplied.interaction()[:, beak, tail]).max() > 1e-3
    with pytest.raises(ValueError, match="pairs=True"):
        effects(PLAIN[:1], amount_of("coral")).interaction()


def test_a_missing_part_has_no_effect_to_tell() -> None:
    found = effects([PLAIN[0].without("crest"), PLAIN[0]], amount_of("coral"), alternatives=1)
    assert np.isnan(found.single[0, PARTS.index("crest")])
    assert "crest" not in found.row(0)
    assert "crest" in found.row(1)
    assert "background" in found.row(0)
    assert "crest" in str(found)


def test_marks_have_a_column_of_their_own() -> None:
    scene = individual_scene(5, 2)
    found = effects([scene], lambda images: images.astype(float).std((1, 2, 3)), alternatives=1)
    assert found.parts[-1] == "mark"
    assert found.row(0)["mark"] != 0
    # the marks are the only thing that "without mark" takes away
    without = dict(changes(scene))[("mark",)]
    assert without.creature == scene.creature


def test_progress_is_heard() -> None:
    heard: list[tuple[int, int]] = []
    effects(PLAIN, amount_of("coral"), batch=16, progress=lambda done, total: heard.append((done, total)))
    assert heard == sorted(heard)
    assert heard[-1] == (3, 3)

"""The checks of FunnyBirds (Hesse et al., ICCV 2023) on the drawn world, as pure functions.

They use an explanation's importance per part (`agreement.part_importance`). A part is *important* if it reaches half
of the largest importance.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from foveal.metrics.statistics import spearman
from foveal.synthetic.classes import creature_of
from foveal.synthetic.drawing import render
from foveal.synthetic.scene import REMOVABLE, Creature, Scene, SceneError

Classify = Callable[[NDArray[np.uint8]], NDArray[np.integer]]  # images (n, h, w, 3) -> class numbers (n,)
Importance = Mapping[str, float]


def important_parts(importance: Importance, *, threshold: float = 0.5) -> frozenset[str]:
    """The parts whose importance reaches `threshold` of the largest; none when nothing is positive."""
    top = max(importance.values(), default=0.0)
    return frozenset(part for part, value in importance.items() if top > 0 and value >= threshold * top)


def single_deletion(importance: Importance, effects: Importance) -> float:
    """Rank correlation, −1 to 1, of importance with the effect of removing each removable part. Higher is better."""
    parts = [part for part in (*REMOVABLE, "mark") if part in importance and part in effects]
    if len(parts) < 2:
        return float("nan")
    return spearman([importance[part] for part in parts], [effects[part] for part in parts])


def preservation(
    scenes: Sequence[Scene], important: Sequence[Collection[str]], classify: Classify
) -> NDArray[np.bool_]:
    """Per scene: with only the important parts left, is the class still the same? Higher is better."""
    kept = [
        _without(scene, [p for p in REMOVABLE if p not in parts])
        for scene, parts in zip(scenes, important, strict=True)
    ]
    same: NDArray[np.bool_] = _classes(scenes, classify) == _classes(kept, classify)
    return same


def deletion(scenes: Sequence[Scene], important: Sequence[Collection[str]], classify: Classify) -> NDArray[np.bool_]:
    """Per scene: with the important parts removed, does the class change? Higher is better."""
    cut = [
        _without(scene, [p for p in REMOVABLE if p in parts]) for scene, parts in zip(scenes, important, strict=True)
    ]
    changed: NDArray[np.bool_] = _classes(scenes, classify) != _classes(cut, classify)
    return changed


def distractibility(importance: Importance, effects: Importance, *, tolerance: float = 0.05) -> float:
    """The share of truly irrelevant parts to which the explanation gives low importance, 0 to 1. Higher is better.

    Irrelevant: the effect is at most `tolerance` of the largest. NaN when no part is irrelevant.
    """
    largest = max(abs(effects[part]) for part in importance if part in effects)
    irrelevant = [part for part in importance if part in effects and abs(effects[part]) <= tolerance * largest]
    if not irrelevant:
        return float("nan")
    important = important_parts(importance)
    return sum(part not in important for part in irrelevant) / len(irrelevant)


def chimera(scene: Scene, other: str, parts: Collection[str]) -> Scene:
    """The scene with the given parts of another species: evidence for two classes at once."""
    creature: Creature = scene.creature
    for part in parts:
        creature = creature.replaced(part, creature_of(other)[part])
    if creature == scene.creature:
        raise SceneError(
            f"no chimera of {scene.class_name!r} and {other!r} differs in {', '.join(parts)}: choose parts that do"
        )
    changed = scene
    for part in parts:
        changed = changed.with_look(part, creature[part])
    return changed


def target_sensitivity(one: Importance, other: Importance, parts: Collection[str]) -> bool:
    """Whether the explanation follows the target, on a chimera with `parts` of the second class.

    `one` and `other` are the importances when the first and the second class are explained; the parts of
    the second class must hold a larger share of the second. Higher is better.
    """
    return _share(other, parts) > _share(one, parts)


def background_independence(
    background: NDArray[np.floating], largest: NDArray[np.floating], *, tolerance: float = 0.05
) -> float:
    """The share of scenes whose background's effect is at most `tolerance` of the largest part's. Higher is better."""
    return float(np.mean(np.abs(background) <= tolerance * np.abs(largest)))


def _share(importance: Importance, parts: Collection[str]) -> float:
    total = sum(importance.values())
    return sum(value for part, value in importance.items() if part in parts) / total if total > 0 else 0.0


def _without(scene: Scene, parts: Sequence[str]) -> Scene:
    for part in parts:
        scene = scene.without(part)
    return scene


def _classes(scenes: Sequence[Scene], classify: Classify) -> NDArray[np.integer]:
    return classify(np.stack([render(scene)[0] for scene in scenes]))

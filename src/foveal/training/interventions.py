"""Training scenes with parts taken away or exchanged, and what can still be said about them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foveal.synthetic.classes import CLASS_NAMES, creature_of
from foveal.synthetic.sampling import pick
from foveal.synthetic.scene import PARTS, REMOVABLE, Scene

TAMPER = 8  # key of the random stream
Beliefs = NDArray[np.float32]


def tampered(scene: Scene, seed: int, *, untouched: float = 0.4) -> Scene:
    """The scene as it is, or with up to three parts missing, or with one part borrowed from another species."""
    random = np.random.default_rng([seed, TAMPER])
    kind = random.random()
    if kind < untouched:
        return scene
    if kind < untouched + (1 - untouched) * 0.6:
        for part in random.permutation(REMOVABLE)[: int(random.integers(1, 4))]:
            scene = scene.without(str(part))
        return scene
    part = pick(random, PARTS)
    return scene.with_look(part, creature_of(pick(random, CLASS_NAMES))[part])


def beliefs(scene: Scene) -> Beliefs:
    """The fair probability of each species: equal among those that share most looks with the creature.

    A missing part speaks for none, so without its deciding part a creature may as well be its sibling.
    """
    agreement = np.array([_agreement(scene, class_name) for class_name in CLASS_NAMES])
    best = agreement == agreement.max()
    fair: Beliefs = (best / best.sum()).astype(np.float32)
    return fair


def _agreement(scene: Scene, class_name: str) -> int:
    looks = zip(scene.creature, creature_of(class_name), strict=True)
    return sum(seen is not None and seen == own for seen, own in looks)

"""The drawn world: pictures whose explanation is known.

Everything here needs numpy and Pillow alone; the networks (`foveal.world.network`, `.recipe`, `.dataset`)
import torch.
"""

from foveal.world.drawing import render
from foveal.world.effects import Effects, effects, effects_of_each
from foveal.world.gallery import demo_scenes
from foveal.world.individuals import individual_scene, marks_of
from foveal.world.pairs import Pair, Pairs, shared_parts
from foveal.world.sampling import species_scene
from foveal.world.scene import LABELS, PARTS, REMOVABLE, Creature, Look, Scene, SceneError
from foveal.world.species import NOVEL, SPECIES, creature_of, differing_parts, sibling
from foveal.world.splits import SPLITS, Example, Split

__all__ = [
    "LABELS", "NOVEL", "PARTS", "REMOVABLE", "SPECIES", "SPLITS",
    "Creature", "Effects", "Example", "Look", "Pair", "Pairs", "Scene", "SceneError", "Split",
    "creature_of", "demo_scenes", "differing_parts", "effects", "effects_of_each", "individual_scene", "marks_of",
    "render", "shared_parts", "sibling", "species_scene",
]  # fmt: skip

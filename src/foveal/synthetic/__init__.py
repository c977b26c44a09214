"""The drawn world: pictures whose explanation is known.

Everything here needs numpy and Pillow alone; the networks (`foveal.synthetic.network`, `.recipe`, `.dataset`)
import torch.
"""

from foveal.synthetic.classes import NOVEL, SPECIES, creature_of, differing_parts, sibling
from foveal.synthetic.drawing import render
from foveal.synthetic.effects import Effects, effects, effects_of_each
from foveal.synthetic.gallery import demo_scenes
from foveal.synthetic.individuals import individual_scene, marks_of
from foveal.synthetic.pairs import Pair, PositivePairs, shared_parts
from foveal.synthetic.sampling import species_scene
from foveal.synthetic.scene import LABELS, PARTS, REMOVABLE, Creature, Look, Scene, SceneError
from foveal.synthetic.splits import SPLITS, Example, Split

__all__ = [
    "LABELS", "NOVEL", "PARTS", "REMOVABLE", "SPECIES", "SPLITS",
    "Creature", "Effects", "Example", "Look", "Pair", "PositivePairs", "Scene", "SceneError", "Split",
    "creature_of", "demo_scenes", "differing_parts", "effects", "effects_of_each", "individual_scene", "marks_of",
    "render", "shared_parts", "sibling", "species_scene",
]  # fmt: skip

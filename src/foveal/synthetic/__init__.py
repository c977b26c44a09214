"""The drawn world: images whose explanation is known.

This package needs only numpy and Pillow; `foveal.synthetic.network` and `foveal.synthetic.dataset` also import torch.
"""

from foveal.synthetic.classes import CLASS_NAMES, NOVEL, creature_of, differing_parts, sibling
from foveal.synthetic.drawing import render
from foveal.synthetic.effects import Effects, effects, effects_of_each
from foveal.synthetic.gallery import demo_scenes
from foveal.synthetic.individuals import individual_scene, marks_of
from foveal.synthetic.pairs import Pair, PositivePairs, shared_parts
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import LABELS, PARTS, REMOVABLE, Creature, Look, Scene, SceneError, Shift
from foveal.synthetic.splits import SPLITS, Example, Split

__all__ = [
    "CLASS_NAMES",
    "LABELS",
    "NOVEL",
    "PARTS",
    "REMOVABLE",
    "SPLITS",
    "Creature",
    "Effects",
    "Example",
    "Look",
    "Pair",
    "PositivePairs",
    "Scene",
    "SceneError",
    "Shift",
    "Split",
    "class_scene",
    "creature_of",
    "demo_scenes",
    "differing_parts",
    "effects",
    "effects_of_each",
    "individual_scene",
    "marks_of",
    "render",
    "shared_parts",
    "sibling",
]  # fmt: skip

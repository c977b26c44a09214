"""Scenes as Python, so that what a page shows can be drawn again."""

from __future__ import annotations

from foveal.synthetic.classes import CLASS_NAMES, NOVEL
from foveal.synthetic.gallery import demo_scenes
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import Scene


def scene_code(scene: Scene) -> str:
    """One of the gallery, one of a species and a seed, or every detail."""
    if scene in (known := demo_scenes()):
        return f"foveal.synthetic.demo_scenes()[{known.index(scene)}]"
    if scene.class_name in (*CLASS_NAMES, *NOVEL) and scene == class_scene(scene.class_name, scene.seed):
        return f'foveal.synthetic.class_scene("{scene.class_name}", {scene.seed})'
    return repr(scene)


def look_code(part: str, species: str) -> str:
    """The change to another species' look of a part."""
    return f'.with_look("{part}", foveal.synthetic.creature_of("{species}")["{part}"])'

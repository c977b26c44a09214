"""The pictures of README and docs, drawn anew:    python docs/pictures.py"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import foveal
from foveal.demo.truth import true_effects
from foveal.images import Geometry, Photo
from foveal.methods import cam
from foveal.methods.naflow import MODES
from foveal.render.figures import grid
from foveal.render.flow import mode_sheet
from foveal.render.overlay import draw_overlay
from foveal.render.parts import match_sheet
from foveal.results.class_tree import ClassTree
from foveal.results.part_similarity import match_parts
from foveal.synthetic import CLASS_NAMES, demo_scenes, render
from foveal.synthetic.classes import NOVEL
from foveal.synthetic.gallery import class_gallery
from foveal.synthetic.ground_truth import deciding_part, sibling_margin
from foveal.synthetic.individuals import individual_scene
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import LABELS
from foveal.synthetic.splits import Example

HERE = Path(__file__).parent / "images"
SIDE, SMALL = 250, 130


def overview() -> Image.Image:
    """Four birds, a column each: the picture, what the interventions say, and the map of the margin to the sibling."""
    model = foveal.load_model("demo")
    columns = []
    for scene in demo_scenes()[1::2]:
        image, labels = render(scene)
        _, margin = true_effects(model, Example(image, labels, CLASS_NAMES.index(scene.class_name), scene))
        why = foveal.explain(model, image, sibling_margin([scene.class_name]))
        columns.append(
            (
                Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS),
                painted(why.photos[0], labels, margin),
                why.overlay(color_bar=False, size=SIDE, sign="positive"),
            )
        )
    return grid(
        list(zip(*columns, strict=True)),
        columns=[f"{scene.class_name}: the {deciding_part(scene.class_name)}" for scene in demo_scenes()[1::2]],
        rows=("the image", "true effect\nparts taken away,\none at a time", "Grad-CAM\nof the margin"),
        side=SIDE,
    )


def painted(photo: Photo, labels: NDArray[np.integer], effects: Mapping[str, float]) -> Image.Image:
    """The true effects on the parts that they belong to, in the colors of maps."""
    values = np.zeros(labels.shape)
    for part in effects.keys() & LABELS.keys():
        values[labels == LABELS[part]] = effects[part]
    whole = Photo(photo.pixels, Geometry.identity(photo.geometry.photo_size), photo.source)
    return draw_overlay(whole, values, sign="positive", color_bar=False, side=SIDE, alpha=0.95)


BIRDS = (0, 3, 5, 8, 14, 16)
OTHERS = (
    "inputxgradient", "guidedbackprop", "deconvnet", "lrp-epsilon", "lrp-gamma", "excitationbp", "relevancecam",
    "ablationcam", "scorecam", "occlusion",
)  # fmt: skip


def methods(names: Sequence[str]) -> Image.Image:
    """These methods on six birds: the margin to the sibling, at the last stage or at the pixels."""
    model = foveal.load_model("demo")
    scenes = [class_gallery()[i] for i in BIRDS]
    rows = []
    for scene in scenes:
        image, _ = render(scene)
        explanations = foveal.compare(model, image, sibling_margin([scene.class_name]), methods=names)
        maps = [why.overlay(color_bar=False, size=SMALL, sign="positive") for why in explanations]
        rows.append([Image.fromarray(image).resize((SMALL, SMALL), Image.Resampling.LANCZOS), *maps])
    return grid(
        rows,
        columns=("image", *names),
        rows=[f"{scene.class_name}\nby its {deciding_part(scene.class_name)}" for scene in scenes],
        side=SMALL,
    )


def match() -> Image.Image:
    """A bird against another of its species and against its sibling, whose beak differs, by the bundled network."""
    model = foveal.load_model("demo")
    own, sibling = CLASS_NAMES[BIRDS[0]], CLASS_NAMES[BIRDS[0] + 1]
    query, same, other = (render(class_scene(name, seed))[0] for name, seed in ((own, 1), (own, 2), (sibling, 3)))
    return foveal.match(model, query, [same, other]).figure(side=280)


def joined_parts() -> Image.Image:
    """Two birds of a species, and the parts of their similarity."""
    query, same = (render(class_scene(CLASS_NAMES[BIRDS[0]], seed))[0] for seed in (1, 2))
    return foveal.match(foveal.load_model("demo"), query, same, parts=4).figure("parts", side=210)


def wrong_matches() -> Image.Image:
    """Individuals that the bundled network never saw: 40 queries of one camera against 180 references of the other."""
    model, strangers = foveal.load_model("embed"), range(60, 90)
    queries = [(who, render(individual_scene(who, 1000 * who + 500, camera=1))[0]) for who in strangers]
    queries += [(who, render(individual_scene(who, 1000 * who + 777, camera=1))[0]) for who in strangers[:10]]
    gallery = [(who, render(individual_scene(who, 1000 * who + k))[0]) for who in strangers for k in range(6)]
    (ours, images), (theirs, references) = zip(*queries, strict=True), zip(*gallery, strict=True)
    found = foveal.retrieve(model, list(images), list(references), query_labels=ours, reference_labels=theirs)
    return found.figure(side=170)


def episode() -> Image.Image:
    """Four species the bundled network never saw, three examples each; two queries."""
    examples = [(name, render(class_scene(name, 100 * k + i))[0]) for k, name in enumerate(NOVEL[:4]) for i in range(3)]
    query = [render(class_scene(NOVEL[k], 999 + k))[0] for k in range(2)]
    names, support = zip(*examples, strict=True)
    return foveal.episode(foveal.load_model("demo"), query, list(support), names).figure(side=180)


def flow() -> Image.Image:
    """Attention forming, for the margin between two jays that differ in their crests."""
    scene = class_gallery()[4]
    image, labels = render(scene)
    layers = ("stem.relu1", "stem.relu2", "stage1", "stage2", "stage3")
    formed = foveal.flow(foveal.load_model("demo"), image, sibling_margin([scene.class_name]), layer=layers)
    return formed.figure("strip", audit=formed.audit(), inside=(labels > 0) & (labels < LABELS["occluder"]), side=200)


def modes() -> Image.Image:
    """The five modes on the same bird."""
    scene = class_gallery()[4]
    target, layers = sibling_margin([scene.class_name]), ("stem.relu1", "stem.relu2", "stage1", "stage2", "stage3")
    model, image = foveal.load_model("demo"), render(scene)[0]
    return mode_sheet([foveal.flow(model, image, target, layer=layers, mode=mode) for mode in MODES], side=150)


def one_map() -> Image.Image:
    """The whole tree as one map, for the margin and beside other maps."""
    model = foveal.load_model("demo")
    scene = class_scene("Fan-crested Jay", 4)
    image = render(scene)[0]
    target = sibling_margin([scene.class_name])
    shown = [foveal.explain(model, image, target, method=name) for name in ("gap", "hirescam", "lrp-epsilon")]
    pictures = [Image.fromarray(image), *(why.overlay(color_bar=False, size=SIDE, sign="signed") for why in shown)]
    return grid([pictures], columns=("the image", "gap", "hirescam", "lrp-epsilon"), side=SIDE)


def class_tree(name: str = "Fan-crested Jay", *, branching: int = 3, nodes: str = "neurons") -> ClassTree:
    """How the margin of a jay to its sibling is put together, over twelve pictures."""
    model = foveal.load_model("demo")
    pictures = [render(class_scene(name, seed))[0] for seed in range(12)]
    return foveal.class_tree(model, pictures, sibling_margin([name]), branching=branching, nodes=nodes)


def crests() -> Image.Image:
    """The parts in which two kinds of jays differ most."""
    fans, crowns = (class_tree(f"{crest}-crested Jay", branching=5, nodes="parts") for crest in ("Fan", "Crown"))
    return fans.contrast(crowns, ("Fan-crested Jays", "Crown-crested Jays")).figure(most=4)


def tree() -> Image.Image:
    """What the margin between two jays rests on, down to edges."""
    scene = class_gallery()[4]
    image, _ = render(scene)
    supported = foveal.decompose(
        foveal.load_model("demo"), image, sibling_margin([scene.class_name]), branching=3, opponents=2
    )
    return supported.grow().look().audit().figure(most=7)


def parts() -> Image.Image:
    """Margins between siblings by a network that decides by its parts."""
    scenes = [class_gallery()[i] for i in (4, 10, 16)]
    ranked = foveal.parts(
        foveal.load_model("parts"), [render(scene)[0] for scene in scenes],
        sibling_margin([scene.class_name for scene in scenes]),
    )  # fmt: skip
    return ranked.figure(side=190)


def ranks() -> Image.Image:
    """The parts of two birds of one species, each with that of the other which it goes with."""
    model = foveal.load_model("parts")
    a, b = (foveal.parts(model, render(class_scene(CLASS_NAMES[10], seed))[0]) for seed in (5, 8))
    return match_sheet(a, b, match_parts(a, b))


def feature_images() -> Image.Image:
    """Four kinds of bird in a set, as two layers see them."""
    pictures = [render(class_scene(CLASS_NAMES[4 * k], 5000 + i))[0] for k in range(4) for i in range(10)]
    return foveal.visualize(foveal.load_model("demo"), pictures, layer=["stage1", "stage3"], facets=4).figure(side=200)


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    family = [method.name for method in cam.FAMILY]
    overview().save(HERE / "overview.jpg", quality=88)
    methods(family).save(HERE / "methods.jpg", quality=88)
    match().save(HERE / "match.jpg", quality=88)
    joined_parts().save(HERE / "joined_parts.jpg", quality=88)
    wrong_matches().save(HERE / "wrong_matches.jpg", quality=88)
    episode().save(HERE / "episode.jpg", quality=88)
    flow().save(HERE / "flow.jpg", quality=88)
    modes().save(HERE / "modes.jpg", quality=88)
    tree().save(HERE / "tree.jpg", quality=88)
    one_map().save(HERE / "gap.jpg", quality=88)
    class_tree().figure(most=6).save(HERE / "class_tree.jpg", quality=86)
    crests().save(HERE / "crests.jpg", quality=86)
    parts().save(HERE / "parts.jpg", quality=88)
    ranks().save(HERE / "ranks.jpg", quality=88)
    feature_images().save(HERE / "feature_images.jpg", quality=88)
    methods(OTHERS).save(HERE / "more-methods.jpg", quality=88)

"""What the last stage responds to in pictures of a kind, as images made for it."""

from __future__ import annotations

from foveal.api.visualize import visualize
from foveal.featurevis import Octave, Schedule
from foveal.featurevis.transfer import answers
from foveal.models import Model
from foveal.render.feature_images import as_picture, mosaic
from foveal.render.figures import grid
from foveal.report.report import Panel, Section, Tile
from foveal.report.tiles import SIDE, photo_tile
from foveal.synthetic import render
from foveal.synthetic.sampling import class_scene

BRIEFLY = Schedule((Octave(1.0, 90),), rate=1.5)  # two seconds each
SHOWN = ("Fan-crested Jay", "Lyre-tailed Pheasant")
SEED = 5000  # seed of the scenes that are shown


def feature_images_section(model: Model) -> Section:
    """What the last stage responds to in pictures of a kind, as images made for it."""
    rows, words, photo = [], [], None
    for class_name in SHOWN:
        pictures = [render(class_scene(class_name, seed))[0] for seed in range(SEED, SEED + 10)]
        faces = visualize(model, pictures, facets=1, schedule=BRIEFLY)
        photo = photo or faces.photos[0]
        image, answer = faces[0], answers(faces, model, 1)[0][0]
        rows.append([mosaic(faces.photos, SIDE), as_picture(image.snapshots[0][1]), as_picture(image.image)])
        words.append(
            f"{class_name}\n{image.caption()}\nthe classifier says {answer.label}, {100 * answer.probability:.0f} %"
        )
    picture = grid(rows, columns=("four of ten pictures", "mean of all ten", "feature image"), rows=words, side=SIDE)
    assert photo is not None
    return Section(
        heading="What does the last stage see?",
        photo=photo_tile(photo, SHOWN[0], alt=f"A drawn {SHOWN[0]}, one of ten pictures."),
        text="Feature images are made, not found: no class was asked for, and the classifier took no part.",
        panels=(
            Panel(
                "Feature images of two species",
                (Tile("pictures, their mean, feature image", picture, "Two rows: pictures, and the image made."),),
                "An image is changed, from the mean of ten pictures on, until its features at the last stage, averaged "
                "over places, are those of the pictures, the strongest ones stronger. Gain: how much stronger; fit: "
                "cosine of all features; recall: share of the pictures' strongest channels that are the image's, too.",
            ),
        ),
    )

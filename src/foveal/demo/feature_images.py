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
            f"{class_name}\n{image.caption()}\nthe classifier predicts {answer.label}, {100 * answer.probability:.0f} %"
        )
    picture = grid(rows, columns=("four of ten images", "mean of all ten", "feature image"), rows=words, side=SIDE)
    assert photo is not None
    return Section(
        heading="What does the last stage respond to?",
        photo=photo_tile(photo, SHOWN[0], alt=f"A drawn {SHOWN[0]}, one of ten images."),
        text="Feature images are synthetic. No class was used, and the classifier was not run.",
        panels=(
            Panel(
                "Feature images of two species",
                (
                    Tile(
                        "images, their mean, feature image",
                        picture,
                        "Two rows: the images, their mean, and the feature image.",
                    ),
                ),
                "The optimization starts from the mean of ten images. It makes the mean features of the last stage "
                "match those of the images, with the strongest ones amplified. Gain: the amplification; fit: the "
                "cosine of all features; recall: the share of the images' strongest channels that are also the "
                "feature image's.",
            ),
        ),
    )

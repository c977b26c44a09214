"""Pictures that a saved tree has of its features: where they are strong elsewhere, what drives them, images made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.render.feature import pattern_picture
from foveal.render.fragment import data_uri
from foveal.render.part_strips import example_picture, image_picture
from foveal.report.answers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from foveal.results.feature_graph import Feature
    from foveal.results.tree import Tree

SIDE, QUALITY = 112, 78
ORDERS = {"contribution": "Where it counts for the same question", "activation": "Where it is seen"}


class PictureRow(Wire):
    """Pictures of one kind, as data URIs; `about` says what they show."""

    about: str
    pictures: list[str]


class PicturesAnswer(Wire):
    """What there is of one feature."""

    rows: list[PictureRow]


def pictures_answer(tree: Tree, feature: Feature) -> PicturesAnswer | None:
    """The pictures of a feature, as far as the tree has any."""
    rows = [
        PictureRow(about=about, pictures=[data_uri(picture, quality=QUALITY) for picture in pictures])
        for about, pictures in _rows(tree, feature)
        if pictures
    ]
    return PicturesAnswer(rows=rows) if rows else None


def _rows(tree: Tree, feature: Feature) -> Iterator[tuple[str, list[Image.Image]]]:
    for order, about in ORDERS.items():
        yield about, [example_picture(one, SIDE) for one in feature.examples if one.order == order]
    channels = tree.channel_examples
    if channels is not None and feature.channels and feature.layer in channels.values and feature.part is None:
        key = (feature.layer, feature.channel)
        yield "Where the channel is strongest elsewhere", list(channels.crops_of([key], side=SIDE).get(key, ()))
    if feature.pattern:
        yield "What drives it: guided backpropagation, not evidence", [pattern_picture(tree, feature, side=SIDE)]
    if feature.image is not None:
        yield "An image made for it", [image_picture(feature.image, SIDE)]

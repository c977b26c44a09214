"""What a part of a tree looks like elsewhere: photos of the studio in which it is strongest, an image made for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from foveal.api.visualize import visualize
from foveal.errors import MethodError
from foveal.featurevis.unit_objectives import direction_of
from foveal.images import load_images
from foveal.report.answers.wire import Box, Wire
from foveal.webapp.ask import Progress, ask
from foveal.webapp.scenes import picture
from foveal.webapp.trees import FeatureQuery, live_tree, pictures_of

if TYPE_CHECKING:
    from foveal.results.feature_graph import Feature
    from foveal.results.part_example import PartExample
    from foveal.webapp.studio import Studio
    from foveal.webapp.trees import LiveTree

MOST = 4
STEPS = 96


class ElsewhereQuery(FeatureQuery):
    """A part, to be looked for in all photos of the studio.

    Attributes:
        photos: hashes of those photos: with others the answer is another.
    """

    photos: list[str] = Field(max_length=1000)


class PartPhotoEntry(Wire):
    """A photo in which a part is strong.

    Attributes:
        photo: its hash.
        order: what it is strong by: its contribution to the same decision, or its activation.
        value: see `foveal.results.part_example`.
        box: where, in fractions of the photo.
    """

    photo: str
    order: Literal["contribution", "activation"]
    value: float
    box: Box


class ElsewhereAnswer(Wire):
    """The photos in which a part is strongest, by contribution first.

    Attributes:
        searched: how many were looked at, without the tree's own.
    """

    examples: list[PartPhotoEntry]
    searched: int


class PartImageAnswer(Wire):
    """An image that was optimized for a part's channels, as a data URI."""

    image: str


@ask("tree/elsewhere")
def elsewhere(studio: Studio, query: ElsewhereQuery, progress: Progress) -> ElsewhereAnswer:
    """A pass forward and back for each photo."""
    live = live_tree(studio, query)
    part = _part(live, query.of)
    photos = [studio.photo(hash) for hash in query.photos if hash != query.photo]
    images = [(Path(photo.hash), photo.image) for photo in photos]
    progress("searching photos", 0, len(images))
    found = pictures_of(live).strongest(live.tree, [part], images, MOST, progress).of(part)
    return ElsewhereAnswer(
        examples=[
            PartPhotoEntry(
                photo=example.file.name,
                order=example.order,
                value=example.value,
                box=_on_photo(studio, query, example),
            )
            for example in found
        ],
        searched=len(images),
    )


@ask("tree/image")
def image(studio: Studio, query: FeatureQuery, progress: Progress) -> PartImageAnswer:
    """The image is optimized until the part's channels are strongest in it."""
    live = live_tree(studio, query)
    part = _part(live, query.of)
    made = visualize(studio.model(query.model), target=[direction_of(part)], steps=STEPS, progress=progress)
    pixels = (made[0].image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return PartImageAnswer(image=picture(pixels if pixels.shape[2] == 3 else np.repeat(pixels[:, :, :1], 3, 2)))


def _on_photo(studio: Studio, query: ElsewhereQuery, example: PartExample) -> list[float]:
    photo = studio.photo(example.file.name)
    geometry = load_images([photo.image], studio.model(query.model).preprocessing).photos[0].geometry
    height, width = geometry.photo_size
    box = geometry.boxes_to_photo(example.box).tolist()
    return [min(max(value / (height if i % 2 else width), 0.0), 1.0) for i, value in enumerate(box)]


def _part(live: LiveTree, of: str) -> Feature:
    feature = live.feature(of)
    if feature.profile is None:
        raise MethodError("this is asked of a part: of a single channel see its own page")
    return feature

"""A drawn scene after changes: its picture, and what the network says of it; and scenes that nobody has seen yet."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image
from pydantic import Field

from foveal.attribution.passes import decided
from foveal.attribution.prepare import prepare
from foveal.errors import TargetError
from foveal.report.answers.library import PhotoEntry
from foveal.report.answers.scores import ScoresAnswer, scores_answer
from foveal.report.answers.truth import part_box
from foveal.report.answers.wire import Box, Wire
from foveal.synthetic import CLASS_NAMES
from foveal.synthetic.drawing import render
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import PARTS
from foveal.synthetic.scene_code import scene_code
from foveal.webapp.ask import Progress, Query, TargetQuery, ask
from foveal.webapp.asks.library import photo_entry
from foveal.webapp.asks.scores import head_of
from foveal.webapp.scenes import Changes, as_code, changed, picture, scene_of

if TYPE_CHECKING:
    from foveal.synthetic.scene import Scene
    from foveal.targets import Target
    from foveal.webapp.studio import Studio

LARGE = 640
MOST_DRAWN = 60


class SceneQuery(TargetQuery):
    """A scene after changes. The target is what it is about the scene as drawn: its runner-up stays the runner-up.

    Attributes:
        large: the picture as a page shows it, and the parts' labels; else at the size that the network sees.
        keep: make it a photo of the studio.
    """

    changes: Changes = Field(default_factory=list)
    large: bool = False
    keep: bool = False


class SceneAnswer(Wire):
    """What the network says of a changed scene.

    Attributes:
        picture: a data URI.
        score: of the target about the scene as drawn.
        boxes: part -> where it shows, in fractions of the picture.
        labels: of `foveal.synthetic.LABELS`, uint8, row by row, base64; "" unless large.
        side: rows, and columns, of labels.
        code: the scene as Python.
        photo: of the studio, where it was to be kept.
    """

    picture: str
    score: float
    scores: ScoresAnswer
    boxes: dict[str, Box]
    labels: str
    side: int
    background: str
    code: str
    photo: PhotoEntry | None


class DrawQuery(Query):
    """New scenes of the drawn world.

    Attributes:
        species: None is one after another.
        seed: of the first; the others follow.
    """

    species: str | None = Field(default=None, max_length=80)
    seed: int = Field(ge=0, le=2**31)
    count: int = Field(default=1, ge=1, le=MOST_DRAWN)


class DrawAnswer(Wire):
    """The new scenes, photos of the studio now."""

    photos: list[PhotoEntry]


@ask("scene", lasting=False)
def scene(studio: Studio, query: SceneQuery, progress: Progress) -> SceneAnswer:
    """A drawing, and two forward passes."""
    model, photo = studio.model(query.model), studio.photo(query.photo)
    code = scene_code(scene_of(photo)) + as_code(query.changes)
    now = changed(scene_of(photo), query.changes)
    pixels, labels = render(now)
    progress("asking the network", 0, 0)
    decision = studio.kept(("decided", query.photo, query.model, query.target), lambda: _pinned(studio, query))
    context = prepare(model, [pixels], decision)
    verdict = decided(context).verdict
    assert verdict is not None
    return SceneAnswer(
        picture=picture(render(replace(now, size=LARGE))[0] if query.large else pixels),
        score=float(verdict.score[0]),
        scores=scores_answer(head_of(studio, query.model, context), model.labels),
        boxes={part: box for part in (*PARTS, "mark") if (box := part_box(labels, part))},
        labels=base64.b64encode(labels.tobytes()).decode() if query.large else "",
        side=len(labels),
        background=now.backdrop.kind,
        code=code,
        photo=_kept(studio, now, f"{photo.name} changed", code) if query.keep else None,
    )


@ask("draw", lasting=False)
def draw(studio: Studio, query: DrawQuery, progress: Progress) -> DrawAnswer:
    """Each drawn from its own seed, so that code can draw it again."""
    entries = []
    for number in range(query.count):
        progress("drawing birds", number, query.count)
        seed = query.seed + number
        drawn = class_scene(query.species or CLASS_NAMES[seed % len(CLASS_NAMES)], seed)
        entries.append(_kept(studio, drawn, f"{drawn.class_name} {seed}", scene_code(drawn)))
    return DrawAnswer(photos=entries)


def _pinned(studio: Studio, query: SceneQuery) -> Target:
    """What the target turned out to be about the scene as drawn."""
    model = studio.model(query.model)
    target = studio.target(query.target, model)
    verdict = decided(prepare(model, [studio.photo(query.photo).image], target)).verdict
    if verdict is None or not verdict.per_image:
        raise TargetError("this target cannot be asked about changed scenes: choose a class or a margin")
    return verdict.per_image[0]


def _kept(studio: Studio, scene: Scene, name: str, code: str) -> PhotoEntry:
    """The scene as a photo of the studio, as if the page had sent it: the last ones are kept."""
    pixels, file = render(scene)[0], io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    source = f"foveal.synthetic.render({code})[0]"
    return photo_entry(studio.photos.add(pixels, name, data=file.getvalue(), scene=scene, source=source))

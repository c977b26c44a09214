"""Drawn scenes that a page changes: plain edits, each checked, one after the other."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated, Literal

from PIL import Image
from pydantic import Field

from foveal.errors import FovealError
from foveal.report.answers.wire import Wire
from foveal.synthetic import creature_of
from foveal.synthetic.scene_code import look_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from foveal.synthetic.scene import Scene
    from foveal.webapp.photos import StudioPhoto

Part = Literal["body", "head", "eye", "beak", "crest", "wing", "tail", "legs"]
Units = Annotated[float, Field(ge=-320, le=320, allow_inf_nan=False)]
MOST_CHANGES = 40


class NotDrawn(FovealError):
    """A photo where a drawn scene is needed."""


class Removal(Wire):
    """The scene without a part."""

    kind: Literal["remove"]
    part: Literal[Part, "mark"]


class OtherLook(Wire):
    """A part as another species has it."""

    kind: Literal["look"]
    part: Part
    species: str = Field(max_length=80)


class PartMove(Wire):
    """A part, with what hangs on it, drawn elsewhere; in 1/160 of the picture."""

    kind: Literal["move"]
    part: Part
    dx: Units
    dy: Units


class OtherBackground(Wire):
    """The same creature in other surroundings."""

    kind: Literal["background"]
    background: Literal["water", "sky", "foliage", "sand", "stones"]


Change = Annotated[Removal | OtherLook | PartMove | OtherBackground, Field(discriminator="kind")]
Changes = Annotated[list[Change], Field(max_length=MOST_CHANGES)]


def scene_of(photo: StudioPhoto) -> Scene:
    """How a photo was drawn. Raises NotDrawn for one that was not."""
    if photo.scene is None:
        raise NotDrawn(
            f"{photo.name} was not drawn by foveal, so the truth about it is not known: choose a drawn scene"
        )
    return photo.scene


def changed(scene: Scene, changes: Sequence[Change]) -> Scene:
    """The scene after the changes.

    Raises:
        SceneError: for a species that does not exist.
    """
    for change in changes:
        match change:
            case Removal(part=part):
                scene = scene.without(part)
            case OtherLook(part=part, species=species):
                scene = scene.with_look(part, creature_of(species)[part])
            case PartMove(part=part, dx=dx, dy=dy):
                scene = scene.shifted(part, dx, dy)
            case OtherBackground(background=kind):
                scene = scene.with_background(kind)
    return scene


def as_code(changes: Sequence[Change]) -> str:
    """The changes as Python: .without("crest").shifted("tail", 3, -2)."""
    words = []
    for change in changes:
        match change:
            case Removal(part=part):
                words.append(f'.without("{part}")')
            case OtherLook(part=part, species=species):
                words.append(look_code(part, species))
            case PartMove(part=part, dx=dx, dy=dy):
                words.append(f'.shifted("{part}", {dx:g}, {dy:g})')
            case OtherBackground(background=kind):
                words.append(f'.with_background("{kind}")')
    return "".join(words)


def picture(pixels: NDArray[np.uint8]) -> str:
    """Pixels as a data URI."""
    import base64

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=90, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"

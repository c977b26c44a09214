"""What the network says of a photo of which something is hidden, and what it is given to see."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from foveal.report.answers.wire import Box, Wire
from foveal.webapp.ask import Progress, TargetQuery, ask
from foveal.webapp.questions import HighestClasses, Question, known, question_of
from foveal.webapp.shapes import Edit, rasterized

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

    from foveal.webapp.studio import Studio


class EditedQuery(TargetQuery):
    """A photo with something hidden."""

    edit: Edit


class Patch(Wire):
    """What stands in the photo now, as the network gets it.

    Attributes:
        picture: a PNG in base64, one pixel a pixel of the network's input, clear where nothing changed.
        box: (x0, y0, x1, y1), where it lies, in fractions of the photo.
    """

    picture: str
    box: Box


class EditedAnswer(Wire):
    """The scores of the altered photo.

    Attributes:
        whole: the explained score of the photo as it is.
        score: the same score of the altered photo; None where it is no number.
        classes: the highest of them.
        area: the share of the network's input that the shape covers.
        patch: None where nobody knows the colors that the network's input shows.
    """

    whole: float
    score: float | None
    classes: HighestClasses
    area: float
    patch: Patch | None


@ask("edited")
def edited(studio: Studio, query: EditedQuery, progress: Progress) -> EditedAnswer:
    """One forward pass."""
    question = question_of(studio, query)
    where = rasterized(query.edit.shape, question.geometry)
    x = question.altered(where[None], query.edit)
    with question.asking() as asked:
        score, classes = question.answered(asked, x)
    return EditedAnswer(
        whole=asked.whole,
        score=known([score])[0],
        classes=classes,
        area=float(where.double().mean()),
        patch=patch_of(question, x, ~where if query.edit.keep else where),
    )


def patch_of(question: Question, x: Float[Tensor, "1 c h w"], hidden: Bool[Tensor, "h w"]) -> Patch | None:
    """The pixels that were put in, as small as their box."""
    if question.preprocessing is None or not bool(hidden.any()):
        return None
    pixels = question.preprocessing.undo(x[0].float().cpu().numpy())
    clear = np.where(hidden.numpy(), 255, 0).astype(np.uint8)
    (top, bottom), (left, right) = ((int(at.min()), int(at.max()) + 1) for at in hidden.nonzero().T)
    part = np.dstack([pixels, clear])[top:bottom, left:right]
    file = io.BytesIO()
    Image.fromarray(part).save(file, "PNG", compress_level=1)
    (height, width), corners = question.geometry.photo_size, [left, top, right, bottom]
    box = question.geometry.boxes_to_photo(corners) / (width, height, width, height)
    return Patch(picture=base64.b64encode(file.getvalue()).decode(), box=[float(side) for side in box])

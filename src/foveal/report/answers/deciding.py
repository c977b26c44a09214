"""Which part of a drawn scene decides, as a page shows it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from foveal.report.answers.truth import DECIDES
from foveal.report.answers.wire import Wire
from foveal.synthetic.agreement import SMALLEST
from foveal.synthetic.scene import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.synthetic.agreement import Labels


class SceneLabels(Wire):
    """What is where on a drawn scene: a number a pixel, row by row, base64; `names` are the parts by number."""

    rows: int
    columns: int
    values: str
    names: list[str]


class DecidingAnswer(Wire):
    """The true effect of each part, measured by drawing the scene without it.

    Attributes:
        score: of the scene as it is.
        effects: part -> how much of the score goes when it goes; of the background, what other ones take on average.
        part: the one with the largest effect; "" where no part that can be seen has a fifth of the score.
        labels: the pixels of each part.
    """

    score: float
    effects: dict[str, float]
    part: str
    labels: SceneLabels


def deciding_answer(score: float, effects: Mapping[str, float], labels: Labels) -> DecidingAnswer:
    """The truth about a scene.

    Args:
        effects: see `foveal.synthetic.Effects.row`.
        labels: as `render` gives them.
    """
    names = sorted(LABELS, key=lambda name: LABELS[name])
    visible = [part for part in effects if int((labels == LABELS[part]).sum()) >= SMALLEST]
    first = max(visible, key=lambda part: effects[part], default="")
    decides = bool(first) and effects[first] > max(0.0, DECIDES * abs(score))
    return DecidingAnswer(
        score=score,
        effects=dict(effects),
        part=first if decides else "",
        labels=SceneLabels(
            rows=labels.shape[0],
            columns=labels.shape[1],
            values=base64.b64encode(np.ascontiguousarray(labels, np.uint8).tobytes()).decode(),
            names=names,
        ),
    )

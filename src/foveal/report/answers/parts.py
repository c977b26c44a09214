"""The ranked parts of an image as a page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foveal.images.planes import planar, plane_note
from foveal.report.answers.decision import asked_classes
from foveal.report.answers.wire import MapAnswer, Wire, map_answer

if TYPE_CHECKING:
    from foveal.results.parts import Parts


class RankedPart(Wire):
    """A part, by its rank.

    Attributes:
        rank: from 1, the most active.
        activity: of its seed; never higher than that of the rank before.
        positions: how many it has, fractions included.
        evidence: what it adds to the score.
        map: the activity of its positions, at least 0.
    """

    rank: int
    activity: float
    positions: float
    evidence: float
    map: MapAnswer


class PartsAnswer(Wire):
    """The parts of a layer, and the score divided among them: evidence, `remainder` and `offset` sum to it.

    Attributes:
        own: the network itself decides by these parts; if not, they describe its features.
        wanted: how many were looked for; slots that stayed empty are not among `parts`.
        total: positions of the layer's map.
        remainder: what positions outside of all parts add.
        offset: biases, and what is not linear after the layer.
        coverage: of the activity, the share that is like some part, 0..1.
    """

    target: str
    asked: list[str]
    layer: str
    own: bool
    wanted: int
    parts: list[RankedPart]
    total: int
    score: float
    remainder: float
    offset: float
    coverage: float
    notes: list[str]
    seconds: float


def parts_answer(found: Parts, i: int = 0) -> PartsAnswer:
    """Image i of the ranked parts."""
    groups, photo, lie = found.groups, found.photos[i], found.where.get(found.layer)

    def drawn(k: int) -> MapAnswer:
        cells, place = planar(groups.display[i, k].detach().cpu().float().numpy(), lie, photo.space)
        return map_answer(torch.from_numpy(cells), photo.geometry, place)

    assert found.score is not None
    return PartsAnswer(
        target=found.target[i],
        asked=asked_classes(found.target[i], found.target_spec),
        layer=found.layer,
        own=found.uses_own_parts,
        wanted=found.count,
        parts=[
            RankedPart(
                rank=k + 1,
                activity=float(groups.scores[i, k]),
                positions=float(groups.sizes[i, k]),
                evidence=float(found.evidence[i, k]),
                map=drawn(k),
            )
            for k in range(found.count)
            if bool(groups.used[i, k])
        ],
        total=groups.norm[i].numel(),
        score=float(found.score[i]),
        remainder=float(found.remainder[i]),
        offset=float(found.offset[i]),
        coverage=found.coverage(i),
        notes=[*found.notes, *(plane_note(photo.space) if photo.values is not None else ())],
        seconds=found.seconds,
    )

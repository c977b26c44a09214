"""What every stage of a network keeps of a decision, and what the kept neurons alone give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.report.answers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foveal.results.flow import Audited, Flow


class StageDepth(Wire):
    """One stage.

    Attributes:
        layer: its name.
        kept: the share of its neurons that influence the score, 0 to 1.
        evidence: the sum of activation times gradient over them.
        measured: the score with all other neurons set to zero; None where that is no number.
    """

    layer: str
    kept: float
    evidence: float
    measured: float | None


class DepthAnswer(Wire):
    """A decision at every stage.

    Attributes:
        score: of the image as it is.
        stages: first next to the input.
        notes: what a reader must know of the neurons that were kept.
    """

    score: float
    stages: list[StageDepth]
    notes: list[str]


def depth_answer(flow: Flow, audit: Iterable[Audited], i: int = 0) -> DepthAnswer:
    """Image i of a flow with its audit, which may be empty: nothing was measured then."""
    import math

    assert flow.score is not None
    left = {entry.layer: float(entry.without_abandoned[i]) for entry in audit}
    return DepthAnswer(
        score=float(flow.score[i]),
        stages=[
            StageDepth(
                layer=layer,
                kept=flow.number(layer, "kept", i),
                evidence=flow.number(layer, "total", i),
                measured=left[layer] if math.isfinite(left.get(layer, math.nan)) else None,
            )
            for layer in flow.layers
        ],
        notes=list(flow.notes),
    )

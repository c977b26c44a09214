"""The stages of a network as a page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.report.answers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foveal.engine.structure import Stage


class StageAnswer(Wire):
    """One stage: its name, the shape of what it gives, and input pixels from one position to the next, (y, x)."""

    name: str
    channels: int
    rows: int
    columns: int
    stride: list[float]


class StagesAnswer(Wire):
    """The stages in forward order, the first next to the input."""

    stages: list[StageAnswer]


def stages_answer(stages: Iterable[Stage]) -> StagesAnswer:
    """Those of `foveal.stages`."""
    return StagesAnswer(
        stages=[
            StageAnswer(
                name=stage.name,
                channels=stage.shape[0],
                rows=stage.shape[1],
                columns=stage.shape[2],
                stride=list(stage.stride),
            )
            for stage in stages
        ]
    )

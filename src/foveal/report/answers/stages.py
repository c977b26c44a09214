"""The stages of a network as a page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.report.answers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foveal.engine.structure import Stage


class StageEntry(Wire):
    """One stage, as `foveal.stages` has it.

    Attributes:
        stride: pixels of the network's input from one position to the next, (y, x).
        receptive_field: side of what one position sees, in pixels of the input, (y, x).
        local: a position sees no more than that.
    """

    name: str
    channels: int
    rows: int
    columns: int
    stride: list[float]
    receptive_field: list[int]
    local: bool


class StagesAnswer(Wire):
    """The stages, first next to the input, and the size of that input: (height, width)."""

    stages: list[StageEntry]
    input_size: list[int]


def stages_answer(stages: Iterable[Stage], input_size: tuple[int, int]) -> StagesAnswer:
    """What `foveal.stages` gave for an input of this size."""
    return StagesAnswer(
        stages=[
            StageEntry(
                name=stage.name,
                channels=stage.shape[0],
                rows=stage.shape[1],
                columns=stage.shape[2],
                stride=list(stage.stride),
                receptive_field=list(stage.receptive_field),
                local=stage.local,
            )
            for stage in stages
        ],
        input_size=list(input_size),
    )

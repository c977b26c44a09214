"""Where a training stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["draw", "train", "validate", "test"]


@dataclass(frozen=True)
class TrainStep:
    """Where the training stands: `done` of `total` in this phase; `accuracy` of the last examination."""

    phase: Phase
    done: int
    total: int
    loss: float | None = None
    accuracy: float | None = None

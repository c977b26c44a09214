"""One image on its way, and what is remembered of it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from foveal.featurevis.schedule import Best, Schedule

SNAPSHOTS = 6  # kept on the way, evenly


@dataclass(eq=False)
class OptimizedImage:
    """One image of a task, with its own randomness, best and end.

    Attributes:
        task: the number of its task.
        seed: which of several images of that task.
        generator: its randomness.
        best: the best so far; None before it was evaluated.
        before: (c,), pooled features of what it began with.
        curve: (step, objective without random views) at each evaluation.
        snapshots: (step, image as (c, h, w) uint8) on the way.
        stale: evaluations in a row without an improvement of 0.1 %.
        done: whether it is at its end.
    """

    task: int
    seed: int
    generator: torch.Generator
    best: Best | None = None
    before: Tensor | None = None
    curve: list[tuple[int, float]] = field(default_factory=list)
    snapshots: list[tuple[int, Tensor]] = field(default_factory=list)
    stale: int = 0
    done: bool = False

    def remember(self, image: Tensor, loss: float, features: Tensor | None, step: int, schedule: Schedule) -> None:
        """Put down an evaluation without random views, and keep the image if it is the best so far.

        Args:
            image: (c, h, w) in 0..1.
            loss: its objective.
            features: (c,), pooled, of the watched layer; None where none is watched.
            step: after which it was evaluated.
            schedule: for the number of steps, and the patience.
        """
        self.curve.append((step, loss))
        if step == 0 and features is not None:
            self.before = features.detach().cpu()
        if self.best is None or not loss >= self.best.loss or image.shape != self.best.image.shape:
            before = self.best.loss if self.best else math.inf
            kept = features.detach().cpu() if features is not None else None
            self.best = Best(image.detach().cpu(), loss, step, kept)
            self.stale = 0 if before - loss > 1e-3 * abs(before) or not math.isfinite(before) else self.stale + 1
        else:
            self.stale += 1
        if not self.snapshots or step - self.snapshots[-1][0] >= schedule.steps / SNAPSHOTS - 1e-9:
            self.snapshots.append((step, (255 * image.detach().clamp(0, 1)).round().byte().cpu()))
        self.done = 0 < schedule.patience <= self.stale

    def state(self) -> dict[str, Any]:
        """Everything needed to go on later, as plain data and tensors."""
        return {
            "generator": self.generator.get_state(),
            "best": vars(self.best) if self.best else None,
            "before": self.before,
            "curve": list(self.curve),
            "snapshots": list(self.snapshots),
            "stale": self.stale,
            "done": self.done,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self.generator.set_state(state["generator"])
        self.best = Best(**state["best"]) if state["best"] else None
        self.before = state["before"]
        self.curve = [tuple(point) for point in state["curve"]]
        self.snapshots = [tuple(snapshot) for snapshot in state["snapshots"]]
        self.stale, self.done = state["stale"], state["done"]


def generator_of(seed: int, name: str, number: int) -> torch.Generator:
    """The randomness of one image, whatever else is made beside it.

    Args:
        seed: of everything.
        name: of its task.
        number: which image of that task.
    """
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}/{number}".encode()))
